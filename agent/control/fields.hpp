// Fields of an agent's reply, which may be of another version.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace marmot::agent {

using Json = nlohmann::json;

// Absent, or of another type than asked for: nullopt, or empty.
std::optional<int64_t> number_in(const Json& object, const char* key);
std::string text_in(const Json& object, const char* key);
bool flag_in(const Json& object, const char* key);
// The array under `key`, empty when there is none.
const Json& list_in(const Json& object, const char* key);

}  // namespace marmot::agent
