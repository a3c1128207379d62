#include "agent/snapshot/zstd_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "common/codec/zstd_stream.hpp"

namespace marmot::agent {

namespace {

constexpr size_t kBuffer = size_t{128} << 10;

Error os_error(const std::string& verb) {
  const int code = errno;
  return make_error(code == ENOSPC || code == EDQUOT ? Errc::full : code == ENOENT ? Errc::not_found : Errc::io,
                    verb + ": " + std::strerror(code), code);
}

// Reads one file and writes another, which goes again unless kept.
class Pair {
 public:
  ~Pair() {
    if (in_ >= 0) ::close(in_);
    if (out_ < 0) return;
    ::close(out_);
    ::unlink(to_.c_str());
  }

  Status open(const std::string& from, const std::string& to) {
    from_ = from;
    to_ = to;
    in_ = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
    if (in_ < 0) return os_error("open " + from);
    out_ = ::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out_ < 0) return os_error("make " + to);
    return ok();
  }

  Result<size_t> read(std::vector<char>& buffer) {
    for (;;) {
      const ssize_t got = ::read(in_, buffer.data(), buffer.size());
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR) return os_error("read " + from_);
    }
  }

  Status write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(out_, bytes.data(), bytes.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return os_error("write " + to_);
      bytes.remove_prefix(static_cast<size_t>(wrote));
    }
    return ok();
  }

  Status keep() {
    if (::fsync(out_) != 0) return os_error("fsync " + to_);
    ::close(std::exchange(out_, -1));
    return ok();
  }

 private:
  std::string from_, to_;
  int in_ = -1, out_ = -1;
};

Error cancelled_error() { return make_error(Errc::busy, "cancelled"); }

}  // namespace

Status compress_file(const std::string& from, const std::string& to, const std::atomic<bool>& cancelled, std::atomic<uint64_t>& done) {
  Pair files;
  TRY(files.open(from, to));
  codec::ZstdWriter writer;
  std::vector<char> input(kBuffer);
  for (bool last = false; !last;) {
    if (cancelled) return cancelled_error();
    TRY_ASSIGN(const size_t size, files.read(input));
    last = size == 0;
    TRY(writer.write(std::string_view(input.data(), size), last, [&](std::string_view bytes) { return files.write(bytes); }));
    done += size;
  }
  return files.keep();
}

Status decompress_file(const std::string& from, const std::string& to, const std::atomic<bool>& cancelled, std::atomic<uint64_t>& done) {
  Pair files;
  TRY(files.open(from, to));
  codec::ZstdReader reader;
  std::vector<char> input(kBuffer);
  for (;;) {
    if (cancelled) return cancelled_error();
    TRY_ASSIGN(const size_t size, files.read(input));
    if (size == 0) break;
    TRY_IN("unpack " + from, reader.read(std::string_view(input.data(), size), [&](std::string_view bytes) { return files.write(bytes); }));
    done += size;
  }
  if (!reader.complete()) return make_error(Errc::corrupt, "unpack " + from + ": it ends early");
  return files.keep();
}

}  // namespace marmot::agent
