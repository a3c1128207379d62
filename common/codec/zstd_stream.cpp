#include "common/codec/zstd_stream.hpp"

#include <zstd.h>

#include <string>
#include <vector>

namespace marmot::codec {

namespace {
constexpr int kStreamLevel = 3;
constexpr int kLargestWindow = 27;  // 128 MB: what a reader allocates at most; ours need 2 MB
}  // namespace

struct ZstdWriter::State {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  std::vector<char> buffer = std::vector<char>(ZSTD_CStreamOutSize());
  ~State() { ZSTD_freeCCtx(context); }
};

ZstdWriter::ZstdWriter() : state_(std::make_unique<State>()) {
  ZSTD_CCtx_setParameter(state_->context, ZSTD_c_compressionLevel, kStreamLevel);
  ZSTD_CCtx_setParameter(state_->context, ZSTD_c_checksumFlag, 1);
}

ZstdWriter::~ZstdWriter() = default;

Status ZstdWriter::write(std::string_view bytes, bool last, const ByteSink& out) {
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  for (;;) {
    ZSTD_outBuffer output{state_->buffer.data(), state_->buffer.size(), 0};
    const size_t rest = ZSTD_compressStream2(state_->context, &output, &input, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(rest) != 0) return make_error(Errc::internal, std::string("zstd: ") + ZSTD_getErrorName(rest));
    if (output.pos > 0) TRY(out(std::string_view(state_->buffer.data(), output.pos)));
    if (last ? rest == 0 : input.pos == input.size) return ok();
  }
}

struct ZstdReader::State {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  std::vector<char> buffer = std::vector<char>(ZSTD_DStreamOutSize());
  size_t wanted = 1;  // 0: a frame ended here
  ~State() { ZSTD_freeDCtx(context); }
};

ZstdReader::ZstdReader() : state_(std::make_unique<State>()) {
  ZSTD_DCtx_setParameter(state_->context, ZSTD_d_windowLogMax, kLargestWindow);
}

ZstdReader::~ZstdReader() = default;

Status ZstdReader::read(std::string_view bytes, const ByteSink& out) {
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  for (bool full = false; input.pos < input.size || full;) {
    ZSTD_outBuffer output{state_->buffer.data(), state_->buffer.size(), 0};
    state_->wanted = ZSTD_decompressStream(state_->context, &output, &input);
    if (ZSTD_isError(state_->wanted) != 0) return make_error(Errc::corrupt, std::string("zstd: ") + ZSTD_getErrorName(state_->wanted));
    if (output.pos > 0) TRY(out(std::string_view(state_->buffer.data(), output.pos)));
    // More may wait inside, but not behind the end of a frame: asked there, it would begin the next one.
    full = output.pos == output.size && state_->wanted != 0;
  }
  return ok();
}

bool ZstdReader::complete() const { return state_->wanted == 0; }

}  // namespace marmot::codec
