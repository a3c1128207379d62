// sql_text reads whatever sqlite_schema holds: it must stay inside any text, and what it gives back must lie in that text.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/replica/sql_text.hpp"

using namespace marmot::replica;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

bool inside(std::string_view whole, std::string_view part) { return whole.find(part) != std::string_view::npos; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view sql(reinterpret_cast<const char*>(data), size);
  if (const auto tokens = tokenize(sql)) {
    size_t end = 0;
    for (const Token& token : *tokens) {
      check(!token.text.empty() && token.offset >= end);
      check(token.text.data() == sql.data() + token.offset);
      end = token.offset + token.text.size();
      check(end <= size);
      check(unquote(token.text).size() <= token.text.size());
    }
  }
  if (const auto index = parse_create_index(sql)) {
    check(!index->terms.empty());
    for (const std::string& term : index->terms) check(!term.empty() && inside(sql, term));
    check(inside(sql, index->where));
  }
  if (const auto trigger = parse_create_trigger(sql)) {
    check(!trigger->statements.empty());
    check(inside(sql, trigger->when));
    for (const TriggerStatement& statement : trigger->statements) {
      check(inside(sql, statement.sql));
      check(statement.verb != "SELECT" || statement.target.empty());
    }
  }
  return 0;
}
