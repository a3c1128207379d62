#include "common/mysql/functions/decimal.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "common/mysql/functions/ascii.hpp"

namespace marmot::mysql {

namespace {

constexpr int kBufferDigits = 81;  // 9 words of 9 digits
constexpr uint32_t kPowers[] = {1, 10, 100, 1000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};

int digits_of(uint32_t limb) {
  int n = 0;
  while (n < 9 && limb >= kPowers[n]) ++n;
  return n;
}

}  // namespace

Decimal::Decimal(int64_t value) : Decimal(of_unsigned(value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value))) {
  negative_ = value < 0;
}

Decimal Decimal::of_unsigned(uint64_t value) {
  Decimal out;
  for (; value != 0; value /= kBase) out.limbs_[static_cast<size_t>(out.size_++)] = static_cast<uint32_t>(value % kBase);
  return out;
}

Decimal Decimal::of_real(double value) {
  if (!std::isfinite(value)) {
    Decimal out = parse(std::string(kMostDigits, '9'));
    out.overflowed_ = true;
    out.negative_ = value < 0;
    return std::isnan(value) ? Decimal() : out;
  }
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return parse(std::string_view(text, static_cast<size_t>(end - text)));
}

Decimal Decimal::parse(std::string_view text, std::string_view* rest) {
  size_t i = 0;
  while (i < text.size() && (text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r'))) ++i;
  const bool minus = i < text.size() && text[i] == '-';
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  Decimal out;
  bool any = false, point = false;
  int taken = 0;      // significant digits
  int64_t dropped = 0;  // integer digits beyond what fits
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !point) {
      point = true;
      continue;
    }
    if (!is_digit(text[i])) break;
    any = true;
    if (taken >= kBufferDigits) {
      if (!point) ++dropped;
      continue;
    }
    if (text[i] != '0' || taken > 0) ++taken;
    out.multiply_small(10, static_cast<uint32_t>(text[i] - '0'));
    if (point) ++out.scale_;
  }
  if (!any) {
    if (rest != nullptr) *rest = text;
    return Decimal();
  }
  int64_t exponent = dropped;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    size_t j = i + 1;
    const bool down = j < text.size() && text[j] == '-';
    if (j < text.size() && (text[j] == '-' || text[j] == '+')) ++j;
    int64_t value = 0;
    const size_t first = j;
    for (; j < text.size() && is_digit(text[j]); ++j) value = std::min<int64_t>(value * 10 + (text[j] - '0'), 100'000);
    if (j > first) {
      exponent += down ? -value : value;
      i = j;
    }
  }
  if (rest != nullptr) *rest = text.substr(i);
  out.negative_ = minus && !out.is_zero();
  if (exponent < 0) {
    // What lies below the last digit that is kept cannot show; 400 is below any double.
    const int down = static_cast<int>(std::min<int64_t>(-exponent, 400));
    out.scale_ += down;
    if (out.scale_ > kBufferDigits) out = out.rounded(kBufferDigits - 1, true);
  } else if (exponent > 0 && !out.is_zero()) {
    const int64_t up = exponent - std::min<int64_t>(exponent, out.scale_);
    out.scale_ -= static_cast<int>(std::min<int64_t>(exponent, out.scale_));
    if (up + out.digits() > kBufferDigits) {
      out.overflowed_ = true;
    } else if (up > 0) {
      out.scale_up(static_cast<int>(up));
      out.scale_ = 0;
    }
  }
  out.limit();
  return out;
}

void Decimal::trim() {
  while (size_ > 0 && limbs_[static_cast<size_t>(size_ - 1)] == 0) --size_;
  if (size_ == 0) negative_ = false;
}

int Decimal::digits() const { return size_ == 0 ? 0 : (size_ - 1) * 9 + digits_of(limbs_[static_cast<size_t>(size_ - 1)]); }

int Decimal::integer_digits() const { return std::max(0, digits() - scale_); }

int Decimal::significant_digits() const {
  Decimal copy = *this;
  int scale = scale_;
  while (scale > 0 && copy.size_ > 0 && copy.limbs_[0] % 10 == 0) {
    copy.divide_small(10);
    --scale;
  }
  return copy.digits();
}

void Decimal::multiply_small(uint32_t by, uint32_t add) {
  uint64_t carry = add;
  for (int i = 0; i < size_; ++i) {
    carry += uint64_t{limbs_[static_cast<size_t>(i)]} * by;
    limbs_[static_cast<size_t>(i)] = static_cast<uint32_t>(carry % kBase);
    carry /= kBase;
  }
  if (carry == 0) return;
  if (size_ == kLimbs) {
    overflowed_ = true;
    return;
  }
  limbs_[static_cast<size_t>(size_++)] = static_cast<uint32_t>(carry);
}

uint32_t Decimal::divide_small(uint32_t by) {
  uint64_t rest = 0;
  for (int i = size_ - 1; i >= 0; --i) {
    rest = rest * kBase + limbs_[static_cast<size_t>(i)];
    limbs_[static_cast<size_t>(i)] = static_cast<uint32_t>(rest / by);
    rest %= by;
  }
  while (size_ > 0 && limbs_[static_cast<size_t>(size_ - 1)] == 0) --size_;
  return static_cast<uint32_t>(rest);
}

void Decimal::scale_up(int by) {
  scale_ += by;
  for (; by > 0; by -= 9) multiply_small(kPowers[std::min(by, 9)], 0);
}

// MySQL cuts the fraction to 30 digits and the whole to its buffer; what is larger is the largest number.
void Decimal::limit() {
  if (scale_ > kMostScale) {
    const bool over = overflowed_;
    *this = rounded(kMostScale, true);
    overflowed_ = over;
  }
  if (overflowed_ || integer_digits() > kBufferDigits) {
    const bool minus = negative_;
    limbs_.fill(0);
    size_ = 0;
    scale_ = 0;
    for (int i = 0; i < kMostDigits; ++i) multiply_small(10, 9);
    negative_ = minus;
    overflowed_ = true;
  }
}

Decimal Decimal::rounded(int scale, bool half_up) const {
  Decimal out = *this;
  if (scale >= scale_) {
    const int by = std::min(scale, kBufferDigits - 1) - scale_;
    if (by > 0) out.scale_up(by);
    return out;
  }
  int drop = scale_ - scale;
  if (drop > out.digits() + 1) {
    Decimal zero;
    zero.scale_ = std::max(scale, 0);
    return zero;
  }
  uint32_t last = 0;
  for (; drop > 9; drop -= 9) last = out.divide_small(kBase) >= kBase / 2 ? 5 : 0;
  if (drop > 0) last = out.divide_small(kPowers[drop]) >= kPowers[drop] / 2 ? 5 : 0;
  out.scale_ = scale;
  if (half_up && last >= 5) out.multiply_small(1, 1);
  if (scale < 0) {
    out.scale_up(-scale);
    out.scale_ = 0;
  }
  out.trim();
  return out;
}

Decimal Decimal::negated() const {
  Decimal out = *this;
  out.negative_ = !negative_ && !is_zero();
  return out;
}

int Decimal::compare_digits(const Decimal& a, const Decimal& b) {
  if (a.size_ != b.size_) return a.size_ < b.size_ ? -1 : 1;
  for (size_t i = static_cast<size_t>(a.size_); i-- > 0;) {
    if (a.limbs_[i] != b.limbs_[i]) return a.limbs_[i] < b.limbs_[i] ? -1 : 1;
  }
  return 0;
}

Decimal Decimal::operator+(const Decimal& other) const {
  Decimal a = *this, b = other;
  const int scale = std::max(a.scale_, b.scale_);
  if (a.scale_ < scale) a.scale_up(scale - a.scale_);
  if (b.scale_ < scale) b.scale_up(scale - b.scale_);
  const bool over = overflowed_ || other.overflowed_;
  if (a.negative_ != b.negative_ && compare_digits(a, b) < 0) std::swap(a, b);
  const bool add = a.negative_ == b.negative_;
  int64_t carry = 0;
  const int size = std::max(a.size_, b.size_);
  for (int k = 0; k < size; ++k) {
    const auto i = static_cast<size_t>(k);
    carry += int64_t{a.limbs_[i]} + (add ? int64_t{b.limbs_[i]} : -int64_t{b.limbs_[i]});
    a.limbs_[i] = static_cast<uint32_t>((carry + kBase) % kBase);
    carry = carry < 0 ? -1 : carry / kBase;
  }
  a.size_ = size;
  if (carry > 0) {
    if (size == kLimbs) a.overflowed_ = true;
    else a.limbs_[static_cast<size_t>(a.size_++)] = static_cast<uint32_t>(carry);
  }
  a.overflowed_ |= over;
  a.trim();
  a.limit();
  return a;
}

Decimal Decimal::operator*(const Decimal& other) const {
  Decimal out;
  std::array<uint64_t, 2 * kLimbs + 1> sums{};
  for (size_t i = 0; i < static_cast<size_t>(size_); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < static_cast<size_t>(other.size_); ++j) {
      const uint64_t sum = sums[i + j] + uint64_t{limbs_[i]} * other.limbs_[j] + carry;
      sums[i + j] = sum % kBase;
      carry = sum / kBase;
    }
    sums[i + static_cast<size_t>(other.size_)] += carry;
  }
  const int size = size_ + other.size_;
  out.overflowed_ = overflowed_ || other.overflowed_;
  for (int i = 0; i < size; ++i) {
    if (i < kLimbs) out.limbs_[static_cast<size_t>(i)] = static_cast<uint32_t>(sums[static_cast<size_t>(i)]);
    else if (sums[static_cast<size_t>(i)] != 0) out.overflowed_ = true;
  }
  out.size_ = std::min(size, kLimbs);
  out.scale_ = scale_ + other.scale_;
  out.negative_ = negative_ != other.negative_;
  out.trim();
  out.limit();
  return out;
}

// Schoolbook, a decimal digit at a time within a limb by binary search: numbers are short, and this is hardly ever called.
void Decimal::divide_digits(const Decimal& by, Decimal* remainder) {
  Decimal rest;
  for (size_t i = static_cast<size_t>(size_); i-- > 0;) {
    rest.multiply_small(kBase, limbs_[i]);
    uint32_t low = 0, high = kBase - 1;
    while (low < high) {
      const uint32_t middle = low + (high - low + 1) / 2;
      Decimal product = by;
      product.negative_ = false;
      product.multiply_small(middle, 0);
      product.trim();
      if (compare_digits(product, rest) <= 0) low = middle;
      else high = middle - 1;
    }
    Decimal product = by;
    product.multiply_small(low, 0);
    product.trim();
    int64_t carry = 0;
    for (size_t k = 0; k < static_cast<size_t>(rest.size_); ++k) {
      carry += int64_t{rest.limbs_[k]} - int64_t{k < static_cast<size_t>(product.size_) ? product.limbs_[k] : 0};
      rest.limbs_[k] = static_cast<uint32_t>(carry < 0 ? carry + kBase : carry);
      carry = carry < 0 ? -1 : 0;
    }
    rest.trim();
    limbs_[i] = low;
  }
  trim();
  if (remainder != nullptr) *remainder = rest;
}

std::optional<Decimal> Decimal::divided(const Decimal& other, int scale) const {
  if (other.is_zero()) return std::nullopt;
  Decimal out = *this;
  // One digit more than asked for, to round by.
  const int want = std::min(scale, kMostScale) + 1;
  const int up = want - (scale_ - other.scale_);
  if (up > 0) out.scale_up(up);
  out.negative_ = false;
  out.divide_digits(other, nullptr);
  out.scale_ = scale_ - other.scale_ + std::max(up, 0);
  out.negative_ = negative_ != other.negative_;
  out.trim();
  return out.rounded(std::min(scale, kMostScale), true);
}

std::optional<Decimal> Decimal::remainder(const Decimal& other) const {
  if (other.is_zero()) return std::nullopt;
  Decimal a = *this, b = other;
  const int scale = std::max(a.scale_, b.scale_);
  if (a.scale_ < scale) a.scale_up(scale - a.scale_);
  if (b.scale_ < scale) b.scale_up(scale - b.scale_);
  Decimal rest;
  a.divide_digits(b, &rest);
  rest.scale_ = scale;
  rest.negative_ = negative_;
  rest.trim();
  return rest;
}

std::strong_ordering Decimal::compare(const Decimal& other) const {
  if (negative_ != other.negative_) return negative_ ? std::strong_ordering::less : std::strong_ordering::greater;
  Decimal a = *this, b = other;
  const int scale = std::max(a.scale_, b.scale_);
  if (a.scale_ < scale) a.scale_up(scale - a.scale_);
  if (b.scale_ < scale) b.scale_up(scale - b.scale_);
  const int order = compare_digits(a, b) * (negative_ ? -1 : 1);
  return order <=> 0;
}

std::string Decimal::print() const {
  std::string digits;
  for (int i = 0; i < size_; ++i) {
    uint32_t limb = limbs_[static_cast<size_t>(i)];
    for (int k = 0; k < 9; ++k, limb /= 10) digits += static_cast<char>('0' + limb % 10);
  }
  while (!digits.empty() && digits.back() == '0' && static_cast<int>(digits.size()) > scale_ + 1) digits.pop_back();
  while (static_cast<int>(digits.size()) < scale_ + 1) digits += '0';
  if (scale_ > 0) digits.insert(static_cast<size_t>(scale_), 1, '.');
  if (negative_) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

double Decimal::real() const {
  const std::string text = print();
  double out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

uint64_t Decimal::unsigned_integer() const {
  const Decimal whole = rounded(0, true);
  if (whole.negative_) return 0;
  uint64_t out = 0;
  for (size_t i = static_cast<size_t>(whole.size_); i-- > 0;) {
    if (__builtin_mul_overflow(out, kBase, &out) || __builtin_add_overflow(out, whole.limbs_[i], &out)) return UINT64_MAX;
  }
  return out;
}

int64_t Decimal::integer() const {
  Decimal magnitude = *this;
  magnitude.negative_ = false;
  const uint64_t value = magnitude.unsigned_integer();
  if (negative_) return value > uint64_t{1} << 63 ? INT64_MIN : static_cast<int64_t>(0 - value);
  return value > INT64_MAX ? INT64_MAX : static_cast<int64_t>(value);
}

std::optional<int64_t> Decimal::exact_integer() const {
  const int64_t value = integer();
  if (Decimal(value).compare(*this) != 0) return std::nullopt;
  return value;
}

}  // namespace marmot::mysql
