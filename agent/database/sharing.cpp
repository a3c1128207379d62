#include "agent/database/sharing.hpp"

#include <sys/stat.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace marmot::agent {

namespace {

constexpr const char* kHarm = ", and committed rows are lost: share the folder, not the file (end whoever uses the other name first)";

// As mountinfo spells a path: space, tab, newline and backslash in octal.
std::string spelled(std::string_view path) {
  std::string out;
  for (const char c : path) {
    switch (c) {
      case ' ': out += "\\040"; break;
      case '\t': out += "\\011"; break;
      case '\n': out += "\\012"; break;
      case '\\': out += "\\134"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace

bool is_mount_point(std::string_view mountinfo, std::string_view path) {
  const std::string wanted = spelled(path);
  while (!mountinfo.empty()) {
    const size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
    std::string_view line = mountinfo.substr(0, end);
    for (int field = 0; field < 4; ++field) line.remove_prefix(std::min(line.find(' '), line.size() - 1) + 1);
    if (line.substr(0, line.find(' ')) == wanted) return true;
    mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
  }
  return false;
}

std::string shared_alone(const std::string& path) {
  std::error_code failed;
  // SQLite follows symbolic links: the -wal stands beside the file itself.
  const std::string itself = std::filesystem::canonical(path, failed).string();
  struct stat facts {};
  if (failed || ::stat(itself.c_str(), &facts) != 0) return {};
  if (facts.st_nlink > 1) {
    return "the file has " + std::to_string(facts.st_nlink) + " names (hard links): whoever opens it by another one has another -wal file" + kHarm;
  }
  std::ifstream file("/proc/self/mountinfo");
  const std::string mounts{std::istreambuf_iterator<char>(file), {}};
  if (is_mount_point(mounts, itself)) {
    return "the file is mounted without its folder: whoever opens it outside of this mount has another -wal file" + std::string(kHarm);
  }
  return {};
}

bool SharingWatch::look(int64_t now_us, const Facts& now) {
  const bool ours = !known_ || known_->wal_bytes != now.wal_bytes || known_->wal_written_ns != now.wal_written_ns ||
                    known_->committed != now.committed || known_->backfilled != now.backfilled;
  if (ours) known_ = now;
  if (known_->counter == now.counter && known_->file_written_ns == now.file_written_ns) {
    differs_since_us_ = 0;
    return false;
  }
  if (differs_since_us_ == 0) differs_since_us_ = now_us;
  if (now_us - differs_since_us_ < kSureUs) return false;
  known_ = now;
  differs_since_us_ = 0;
  return true;
}

std::optional<SharingWatch::Facts> sharing_facts(sqlite::Database& db, const std::string& path) {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(db.get(), "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || file == nullptr || file->pMethods == nullptr) {
    return std::nullopt;
  }
  SharingWatch::Facts out;
  std::array<unsigned char, 4> counter{};
  if (file->pMethods->xRead(file, counter.data(), 4, 24) != SQLITE_OK) return std::nullopt;
  for (const unsigned char byte : counter) out.counter = out.counter << 8 | byte;
  void volatile* index = nullptr;  // the wal-index, as shm_readers.hpp has it
  constexpr int kIndexRegion = 32768;
  if (file->pMethods->iVersion < 2 || file->pMethods->xShmMap(file, 0, kIndexRegion, 0, &index) != SQLITE_OK || index == nullptr) return std::nullopt;
  const auto number_at = [&](size_t at) { return *reinterpret_cast<const volatile uint32_t*>(static_cast<const volatile char*>(index) + at); };
  out.committed = number_at(16);
  out.backfilled = number_at(96);
  struct stat wal {}, database {};
  if (::stat((path + "-wal").c_str(), &wal) != 0 || ::stat(path.c_str(), &database) != 0) return std::nullopt;
  out.wal_bytes = wal.st_size;
  const auto written_ns = [](const struct stat& of) { return int64_t{of.st_mtim.tv_sec} * 1'000'000'000 + of.st_mtim.tv_nsec; };
  out.wal_written_ns = written_ns(wal);
  out.file_written_ns = written_ns(database);
  return out;
}

}  // namespace marmot::agent
