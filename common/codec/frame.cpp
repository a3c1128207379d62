#include "common/codec/frame.hpp"

#include <algorithm>
#include <cstring>

#include <zstd.h>
#include <zstd_errors.h>

namespace marmot::codec {

namespace {

// Speed: the drain holds the write lock's owner up, and the network is rarely the narrow place.
constexpr int kUnitLevel = 1;

// The largest window a decoder has to hold. Level 1 uses at most 2^19; RFC 8878 asks every decoder for 2^23.
constexpr int kMaxWindowLog = 23;

// Up to this many bytes are reserved on the word of a frame's header alone, and beyond that this many times its length.
constexpr size_t kTrusted = size_t{1} << 20;
constexpr size_t kTrustedRatio = 64;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

Error zstd_error(Errc code, size_t result) {
  const auto detail = static_cast<int>(ZSTD_getErrorCode(result));
  return make_error(code, std::string("zstd: ") + ZSTD_getErrorName(result), detail);
}

Error damaged(const char* what) { return make_error(Errc::corrupt, std::string("payload: ") + what); }

}  // namespace

Result<std::string> compress(std::initializer_list<std::string_view> pieces) {
  size_t total = 0;
  for (const std::string_view piece : pieces) total += piece.size();

  // Making one costs more than compressing a small unit does: each thread keeps its own.
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  if (!context) return make_error(Errc::internal, "zstd: out of memory");
  for (const size_t result : {ZSTD_CCtx_reset(context.get(), ZSTD_reset_session_and_parameters),
                              ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kUnitLevel),
                              ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1),
                              ZSTD_CCtx_setPledgedSrcSize(context.get(), total)}) {
    if (ZSTD_isError(result)) return zstd_error(Errc::internal, result);
  }

  // A small payload is compressed in one go; a large one through a buffer, so that the result is not reserved at its
  // worst size.
  const size_t chunk_size = std::min(ZSTD_compressBound(total), size_t{1} << 18);
  const std::unique_ptr<char[]> chunk(new char[chunk_size]);
  std::string frame;
  const std::string_view* const end = pieces.end();
  for (const std::string_view* piece = pieces.begin(); piece != end; ++piece) {
    const bool last = piece + 1 == end;
    ZSTD_inBuffer in{piece->data(), piece->size(), 0};
    for (;;) {
      ZSTD_outBuffer out{chunk.get(), chunk_size, 0};
      const size_t left = ZSTD_compressStream2(context.get(), &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(left)) return zstd_error(Errc::internal, left);
      frame.append(chunk.get(), out.pos);
      if (last ? left == 0 : in.pos == in.size) break;
    }
  }
  return frame;
}

Result<Buffer> decompress(std::string_view frame, size_t max_bytes) {
  const unsigned long long stated = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (stated == ZSTD_CONTENTSIZE_ERROR) return damaged("not a zstd frame");
  if (stated == ZSTD_CONTENTSIZE_UNKNOWN) return damaged("the frame does not state its size");
  if (stated > max_bytes) {
    return damaged(("unpacks to " + std::to_string(stated) + " bytes, more than " + std::to_string(max_bytes)).c_str());
  }
  const auto size = static_cast<size_t>(stated);

  // As in compress(); what a damaged frame left in it is dropped first.
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  if (!context) return make_error(Errc::internal, "zstd: out of memory");
  (void)ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
  const size_t set = ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  if (ZSTD_isError(set)) return zstd_error(Errc::internal, set);

  size_t capacity = std::min(size, std::max(kTrusted, frame.size() * kTrustedRatio));
  Buffer raw{std::unique_ptr<char[]>(new char[capacity + 1]), 0};  // never null, so that an empty view has an address
  ZSTD_inBuffer in{frame.data(), frame.size(), 0};
  for (;;) {
    ZSTD_outBuffer out{raw.data.get(), capacity, raw.size};
    const size_t in_before = in.pos;
    const size_t left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left)) return zstd_error(Errc::corrupt, left).in("payload");
    const bool moved = out.pos != raw.size || in.pos != in_before;
    raw.size = out.pos;
    if (left == 0) break;
    if (raw.size == capacity && capacity < size) {
      capacity = capacity > size / 2 ? size : capacity * 2;
      std::unique_ptr<char[]> larger(new char[capacity + 1]);
      std::memcpy(larger.get(), raw.data.get(), raw.size);
      raw.data = std::move(larger);
    } else if (!moved) {
      return damaged("the frame is cut short");
    }
  }
  if (in.pos != in.size) return damaged("bytes follow the frame");
  if (raw.size != size) return damaged("the frame does not hold what it states");
  return raw;
}

}  // namespace marmot::codec
