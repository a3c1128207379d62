// MySQL's exact numbers (manual 14.24.2, "DECIMAL Data Type Characteristics"): up to 65 digits, of them up to 30 behind the point.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace marmot::mysql {

// sign * digits / 10^scale. What does not fit into 81 digits (MySQL's buffer) saturates at the largest number, as MySQL's does, and
// says so by overflowed().
class Decimal {
 public:
  static constexpr int kMostDigits = 65, kMostScale = 30;

  Decimal() = default;
  explicit Decimal(int64_t value);
  static Decimal of_unsigned(uint64_t value);
  // The shortest decimal that reads back as `value`; not finite: saturated.
  static Decimal of_real(double value);
  // The number at the beginning of `text` (blanks before it allowed; an exponent counts). `rest`: what follows it.
  static Decimal parse(std::string_view text, std::string_view* rest = nullptr);

  bool negative() const { return negative_; }
  bool is_zero() const { return size_ == 0; }
  int scale() const { return scale_; }
  bool overflowed() const { return overflowed_; }
  int integer_digits() const;  // before the point, without leading zeros; 0 for 0.5

  // To `scale` digits behind the point; negative: to tens, hundreds ... `half_up`: rounded half away from zero, else cut off.
  // The result has max(scale, 0) digits behind the point, zeros among them.
  Decimal rounded(int scale, bool half_up) const;
  Decimal negated() const;
  Decimal operator+(const Decimal& other) const;
  Decimal operator-(const Decimal& other) const { return *this + other.negated(); }
  Decimal operator*(const Decimal& other) const;
  // Quotient with `scale` digits behind the point (half up) and remainder with the dividend's sign; nullopt: divisor is 0.
  std::optional<Decimal> divided(const Decimal& other, int scale) const;
  std::optional<Decimal> remainder(const Decimal& other) const;
  std::strong_ordering compare(const Decimal& other) const;

  std::string print() const;  // "-0.50": all of the scale
  double real() const;
  // Rounded half away from zero; out of range: the nearest end.
  int64_t integer() const;
  uint64_t unsigned_integer() const;
  // Exactly an int64_t, whatever the scale.
  std::optional<int64_t> exact_integer() const;
  int significant_digits() const;  // without leading zeros and without zeros at the end of the fraction

 private:
  static constexpr uint32_t kBase = 1'000'000'000;
  static constexpr int kLimbs = 20;  // 180 digits: products and aligned operands fit before they are cut to 81

  void trim();
  void scale_up(int by);          // digits * 10^by, scale + by
  uint32_t divide_small(uint32_t by);  // digits / by; the remainder
  void multiply_small(uint32_t by, uint32_t add);
  int digits() const;
  void limit();
  static int compare_digits(const Decimal& a, const Decimal& b);
  void divide_digits(const Decimal& by, Decimal* remainder);

  std::array<uint32_t, kLimbs> limbs_{};  // the lowest first, base 10^9
  int size_ = 0;
  int scale_ = 0;
  bool negative_ = false;
  bool overflowed_ = false;
};

}  // namespace marmot::mysql
