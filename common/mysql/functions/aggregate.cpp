// Aggregates (MySQL 8.0 manual, 14.19), of groups and of windows. NULLs are passed over.
#include <array>
#include <cmath>
#include <deque>
#include <vector>

#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

namespace {

// --- SUM, AVG ------------------------------------------------------------------------------------------------------------

// Exact while every value is (integers, and REAL as the decimal it prints as); with text or a REAL beyond a DECIMAL's range it is a
// DOUBLE, as MySQL's sum over strings.
class Sum : public Aggregate {
 public:
  void step(Call& call) override { add(call, 1); }
  void inverse(Call& call) override { add(call, -1); }
  void value(Call& call) override {
    if (count_ == 0) return;
    if (inexact_ != 0) return call.real_is(real_);
    call.decimal_is(exact_);
  }

 protected:
  int64_t count_ = 0;
  int64_t inexact_ = 0;  // values that are no decimals
  double real_ = 0;
  Decimal exact_;
  int scale_ = 0;  // the largest

 private:
  void add(Call& call, int sign) {
    if (call.is_null(0)) return;
    const double real = call.real(0);
    count_ += sign;
    real_ += sign * real;
    if (!call.is_number(0) || !(std::fabs(real) < 1e35)) {
      inexact_ += sign;
      return;
    }
    const Decimal value = call.decimal(0);
    scale_ = std::max(scale_, value.scale());
    exact_ = sign > 0 ? exact_ + value : exact_ - value;
  }
};

class Average final : public Sum {
 public:
  void value(Call& call) override {
    if (count_ == 0) return;
    if (inexact_ != 0) return call.real_is(real_ / static_cast<double>(count_));
    // div_precision_increment digits more than the values have (manual 14.6.1, division).
    const auto quotient = exact_.divided(Decimal(count_), scale_ + call.session().div_precision_increment);
    if (quotient) call.decimal_is(*quotient);
  }
};

// --- BIT_AND, BIT_OR, BIT_XOR ------------------------------------------------------------------------------------------------

// Counts each bit, so that a window's rows can leave. Numbers have 64 bits; BLOBs as many as they are long, all alike.
template <char kOperator>
class Bits final : public Aggregate {
 public:
  void step(Call& call) override { add(call, 1); }
  void inverse(Call& call) override { add(call, -1); }
  void value(Call& call) override {
    if (!binary_) {
      uint64_t out = 0;
      for (size_t i = 0; i < 64; ++i) out |= uint64_t{bit(i)} << (63 - i);
      return call.unsigned_is(out);
    }
    std::string& out = call.buffer();
    out.assign(counts_.size() / 8, '\0');
    for (size_t i = 0; i < counts_.size(); ++i) out[i / 8] = static_cast<char>(out[i / 8] | (bit(i) ? 128 >> (i % 8) : 0));
    call.blob_done();
  }

 private:
  void add(Call& call, int sign) {
    if (call.is_null(0)) return;
    std::array<unsigned char, 8> number{};
    std::string_view bytes;
    if (call.is_blob(0)) {
      bytes = call.text(0);
    } else {
      const uint64_t bits = call.bits(0);
      for (size_t i = 0; i < 8; ++i) number[i] = static_cast<unsigned char>(bits >> (56 - 8 * i));
      bytes = {reinterpret_cast<const char*>(number.data()), number.size()};
    }
    if (rows_ == 0) {
      binary_ = call.is_blob(0);
      counts_.assign(bytes.size() * 8, 0);
    }
    if (binary_ != call.is_blob(0) || counts_.size() != bytes.size() * 8) {
      return call.fail(kErBitwiseOperandsSize, "binary operands of bitwise operators must be of equal length");
    }
    rows_ += sign;
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += (static_cast<unsigned char>(bytes[i / 8]) >> (7 - i % 8) & 1) * sign;
  }
  bool bit(size_t i) const {
    if (kOperator == '&') return rows_ == 0 || counts_[i] == rows_;
    if (rows_ == 0) return false;
    return kOperator == '|' ? counts_[i] > 0 : counts_[i] % 2 != 0;
  }

  bool binary_ = false;
  int64_t rows_ = 0;
  std::vector<int64_t> counts_;
};

// --- GROUP_CONCAT ----------------------------------------------------------------------------------------------------------

// GROUP_CONCAT(expr [, separator]), as SQLite's takes it; DISTINCT and ORDER BY are the statement's. Cut, with a warning, to
// group_concat_max_len bytes.
class GroupConcat final : public Aggregate {
 public:
  void step(Call& call) override {
    if (call.is_null(0)) return;
    const std::string_view separator = call.count() > 1 ? call.text(1) : ",";
    pieces_.push_back({std::string(separator), std::string(call.text(0))});
    bytes_ += pieces_.back().separator.size() + pieces_.back().text.size();
    if (bytes_ > kMostBytes) call.fail(kErDataOutOfRange, "the group has more than 1 GiB of text");
  }
  void inverse(Call& call) override {
    if (call.is_null(0) || pieces_.empty()) return;
    bytes_ -= pieces_.front().separator.size() + pieces_.front().text.size();
    pieces_.pop_front();
  }
  void value(Call& call) override {
    if (pieces_.empty()) return;
    const uint64_t limit = std::min(call.session().group_concat_max_len, call.session().max_allowed_packet);
    std::string& out = call.buffer();
    out.clear();
    for (size_t i = 0; i < pieces_.size() && out.size() <= limit; ++i) {
      if (i > 0) out += pieces_[i].separator;
      out += pieces_[i].text;
    }
    if (out.size() > limit) {
      size_t end = limit;
      while (end > 0 && (out[end] & 0xC0) == 0x80) --end;  // never through a character
      out.resize(end);
      call.warn(kErGroupConcatCut, "a row was cut by GROUP_CONCAT()");
    }
    call.text_done();
  }

 private:
  static constexpr uint64_t kMostBytes = 1 << 30;
  struct Piece {
    std::string separator, text;
  };
  std::deque<Piece> pieces_;
  uint64_t bytes_ = 0;
};

// --- variance --------------------------------------------------------------------------------------------------------------

// Welford's recurrence (Knuth, TAOCP 4.2.2), which MySQL uses too; a row leaves by its inverse.
template <bool kSample, bool kRoot>
class Variance final : public Aggregate {
 public:
  void step(Call& call) override {
    if (call.is_null(0)) return;
    const double x = call.real(0);
    ++count_;
    const double before = mean_;
    mean_ += (x - mean_) / count_;
    squares_ += (x - before) * (x - mean_);
  }
  void inverse(Call& call) override {
    if (call.is_null(0)) return;
    const double x = call.real(0);
    if (--count_ == 0) {
      mean_ = squares_ = 0;
      return;
    }
    const double after = mean_;
    mean_ -= (x - mean_) / count_;
    squares_ -= (x - mean_) * (x - after);
  }
  void value(Call& call) override {
    const double rows = kSample ? count_ - 1 : count_;
    if (rows <= 0) return;
    const double variance = std::max(0.0, squares_ / rows);
    call.real_is(kRoot ? std::sqrt(variance) : variance);
  }

 private:
  double count_ = 0, mean_ = 0, squares_ = 0;
};

// --- ANY_VALUE -------------------------------------------------------------------------------------------------------------

// ANY_VALUE(expr): of the group's rows, the first. It is no window function of MySQL's, so no row leaves.
class AnyValue final : public Aggregate {
 public:
  void step(Call& call) override {
    if (there_) return;
    there_ = true;
    call.same_as(0);
    first_ = call.answer();
  }
  void inverse(Call& call) override { call.fail(kErWrongArguments, "it cannot be used over a moving window"); }
  void value(Call& call) override { call.answer() = first_; }

 private:
  bool there_ = false;
  Answer first_;
};

constexpr std::array kAggregateFunctions = {
    AggregateFunction{"ANY_VALUE", 1, 1, kPure, make_aggregate<AnyValue>},
    AggregateFunction{"AVG", 1, 1, kSession, make_aggregate<Average>},
    AggregateFunction{"BIT_AND", 1, 1, kPure, make_aggregate<Bits<'&'>>},
    AggregateFunction{"BIT_OR", 1, 1, kPure, make_aggregate<Bits<'|'>>},
    AggregateFunction{"BIT_XOR", 1, 1, kPure, make_aggregate<Bits<'^'>>},
    AggregateFunction{"GROUP_CONCAT", 1, 2, kSession, make_aggregate<GroupConcat>},
    AggregateFunction{"STD", 1, 1, kPure, make_aggregate<Variance<false, true>>},
    AggregateFunction{"STDDEV", 1, 1, kPure, make_aggregate<Variance<false, true>>},
    AggregateFunction{"STDDEV_POP", 1, 1, kPure, make_aggregate<Variance<false, true>>},
    AggregateFunction{"STDDEV_SAMP", 1, 1, kPure, make_aggregate<Variance<true, true>>},
    AggregateFunction{"SUM", 1, 1, kPure, make_aggregate<Sum>},
    AggregateFunction{"VARIANCE", 1, 1, kPure, make_aggregate<Variance<false, false>>},
    AggregateFunction{"VAR_POP", 1, 1, kPure, make_aggregate<Variance<false, false>>},
    AggregateFunction{"VAR_SAMP", 1, 1, kPure, make_aggregate<Variance<true, false>>},
};

}  // namespace

std::span<const AggregateFunction> aggregate_functions() { return kAggregateFunctions; }

}  // namespace marmot::mysql
