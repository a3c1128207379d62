// FORMAT, and how numbers are written in MySQL's locales (MySQL 8.0 manual, 14.8 and 10.16).
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "common/mysql/functions/table.hpp"
#include "common/mysql/functions/text.hpp"

namespace marmot::mysql {

namespace {

constexpr int kErUnknownLocale = 1649;  // ER_UNKNOWN_LOCALE
constexpr int kMostDecimals = 30;       // of a DECIMAL; a DOUBLE may be asked for more, in vain

enum class Grouping { none, threes, indian };  // 1,234,567 or 12,34,567

struct Style {
  std::string_view point, separator;
  Grouping grouping;
  std::string_view locales;  // in lower case, a blank before and behind each
};

// The first is that of every locale not named here.
constexpr std::array kStyles = {
    Style{".", ",", Grouping::threes, " en_us "},
    Style{".", "", Grouping::none, " ar_sa sr_rs "},
    Style{",", ".", Grouping::threes,
          " be_by da_dk de_be de_de de_lu es_ar es_bo es_cl es_co es_ec es_py es_uy es_ve fo_fo hu_hu id_id is_is lt_lt mn_mn nb_no no_no ro_ro "
          "ru_ua sq_al tr_tr uk_ua vi_vn "},
    Style{",", "", Grouping::none, " ca_es de_at el_gr es_es eu_es fr_be fr_ca fr_ch fr_fr fr_lu gl_es hr_hr it_it nl_be nl_nl pl_pl pt_br pt_pt sl_si "},
    Style{",", " ", Grouping::threes, " bg_bg cs_cz es_cr et_ee fi_fi lv_lv mk_mk ru_ru sk_sk sv_fi sv_se "},
    Style{".", "'", Grouping::threes, " de_ch "},
    Style{".", ",", Grouping::indian, " en_in ta_in te_in "},
    Style{",", "'", Grouping::threes, " it_ch rm_ch "},
};

// Those written as en_US has it.
constexpr std::string_view kPlainLocales =
    " ar_ae ar_bh ar_dz ar_eg ar_in ar_iq ar_jo ar_kw ar_lb ar_ly ar_ma ar_om ar_qa ar_sd ar_sy ar_tn ar_ye en_au en_ca en_gb en_nz en_ph en_za en_zw "
    "es_do es_gt es_hn es_mx es_ni es_pa es_pe es_pr es_sv es_us gu_in he_il hi_in ja_jp ko_kr ms_my th_th ur_pk zh_cn zh_hk zh_tw ";

const Style& style_of(Call& call, int i) {
  std::string name(" ");
  for (const char c : call.text(i)) name += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 0x20 : c);
  name += ' ';
  const bool one = !call.is_null(i) && std::count(name.begin(), name.end(), ' ') == 2;
  for (const Style& style : kStyles) {
    if (one && style.locales.find(name) != std::string_view::npos) return style;
  }
  if (!one || kPlainLocales.find(name) == std::string_view::npos) call.warn(kErUnknownLocale, "Unknown locale: '" + std::string(call.text(i).substr(0, 64)) + "'");
  return kStyles.front();
}

// A double's digits with nothing before them but a minus, however large: the shortest that read back as it, and zeros.
std::string large_digits(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific).ptr;
  const std::string_view shortest(text.data(), static_cast<size_t>(end - text.data()));
  const size_t e = shortest.find('e');
  size_t exponent = 0;
  std::from_chars(shortest.data() + e + 2, shortest.data() + shortest.size(), exponent);
  std::string out;
  size_t digits = 0;
  for (const char c : shortest.substr(0, e)) {
    if (c == '.') continue;
    out += c;
    digits += c != '-' ? 1 : 0;
  }
  out.append(exponent + 1 - digits, '0');
  return out;
}

// X rounded to `decimals`, as plain digits.
std::string digits_of(Call& call, int decimals) {
  constexpr double kLargest = 1e50;  // decimals fit a Decimal behind anything smaller
  const bool exact = call.value(0).type == ValueType::integer || std::abs(call.real(0)) < kLargest;
  if (exact) return (call.is_number(0) ? call.decimal(0) : Decimal::of_real(call.real(0))).rounded(decimals, true).print();
  std::string out = large_digits(call.real(0));
  return decimals > 0 ? out.append(".").append(static_cast<size_t>(decimals), '0') : out;
}

// FORMAT(X, D [, locale]) -> X with D decimals (0 to 30) and thousands set apart, as en_US or the locale has it
void format(Call& call) {
  if (call.is_null(0) || call.is_null(1)) return;
  const auto decimals = static_cast<int>(std::clamp<int64_t>(call.integer(1), 0, kMostDecimals));
  const Style& style = call.count() > 2 ? style_of(call, 2) : kStyles.front();
  if (call.value(0).type == ValueType::real && !std::isfinite(call.real(0))) return call.fail(kErDataOutOfRange, "DOUBLE value is out of range");
  const std::string number = digits_of(call, decimals);
  std::string_view digits = number;
  std::string& out = call.buffer();
  if (digits.front() == '-') {
    out += '-';
    digits.remove_prefix(1);
  }
  const size_t point = std::min(digits.find('.'), digits.size());
  for (size_t i = 0; i < point; ++i) {
    const size_t left = point - i;  // digits before the point, this one included
    const bool apart = style.grouping == Grouping::threes ? left % 3 == 0 : left == 3 || (left > 3 && left % 2 == 1);
    if (i > 0 && style.grouping != Grouping::none && apart) out += style.separator;
    out += digits[i];
  }
  if (point < digits.size()) out.append(style.point).append(digits.substr(point + 1));
  call.text_done();
}

constexpr std::array kStringFormatFunctions = {Function{"FORMAT", 2, 3, kPure, format}};

}  // namespace

std::span<const Function> string_format_functions() { return kStringFormatFunctions; }

}  // namespace marmot::mysql
