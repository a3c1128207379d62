#include "common/mysql/functions/time_names.hpp"

#include "common/mysql/functions/ascii.hpp"

namespace marmot::mysql {

const TimeNames* find_time_names(std::string_view locale) {
  const auto table = time_names_table();
  if (locale == "en_US") return &table.front();
  if (locale.size() != 5) return nullptr;
  for (const TimeNames& names : table) {
    for (size_t at = 0; at < names.locales.size(); at += 6) {
      if (same_word(names.locales.substr(at, 5), locale)) return &names;
    }
  }
  return nullptr;
}

std::string_view name_at(std::string_view list, int i) {
  for (; i > 0; --i) {
    const size_t bar = list.find('|');
    if (bar == std::string_view::npos) return {};
    list.remove_prefix(bar + 1);
  }
  return list.substr(0, list.find('|'));
}

int take_name(std::string_view list, std::string_view& text) {
  size_t letters = 0;
  while (letters < text.size() && is_letter(text[letters])) ++letters;
  if (letters == 0) return -1;
  const std::string_view word = text.substr(0, letters);
  int found = -1;
  bool several = false;
  for (int i = 0;; ++i) {
    const std::string_view name = name_at(list, i);
    if (name.empty()) break;
    if (letters > name.size() || !same_word(name.substr(0, letters), word)) continue;
    several = found >= 0 && letters < name.size();
    found = i;
    if (letters == name.size()) break;
  }
  if (found < 0 || several) return -1;
  text.remove_prefix(letters);
  return found;
}

}  // namespace marmot::mysql
