// Numbers as MySQL prints and reads them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace marmot::mysql {

// The shortest digits that read back as `value`; with an exponent from 1e15 up and below 1e-15 (MySQL's my_gcvt, which
// prints "0" for what is not finite).
std::string print_real(double value);

// The number at the beginning of `text`, blanks before it allowed, as in `'12abc' + 0`; 0 where there is none. Too large: the
// largest double. `whole`: nothing but blanks follows.
double read_real(std::string_view text, bool* whole = nullptr);

}  // namespace marmot::mysql
