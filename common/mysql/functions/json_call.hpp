// How JSON functions read their arguments and answer. A reader that fails has given the call its error.
#pragma once

#include <memory>
#include <optional>

#include "common/mysql/functions/call.hpp"
#include "common/mysql/functions/json_document.hpp"
#include "common/mysql/functions/json_path.hpp"

namespace marmot::mysql {

struct KeptJson final : Kept {
  explicit KeptJson(Json what) : document(std::move(what)) {}
  Json document;
};

struct KeptJsonPath final : Kept {
  explicit KeptJsonPath(JsonPath what) : path(std::move(what)) {}
  JsonPath path;
};

// Argument i as a document: JSON, or text that is parsed (3141). Numbers: error 3146; binary: 3144. Not NULL.
std::optional<Json> json_document(Call& call, int i);
// The same, parsed once for a constant; nullptr: failed. With its hold on `document`.
std::shared_ptr<const KeptJson> kept_json(Call& call, int i);

// Argument i as a value in a document: JSON as it is, text as a string, NULL as null; binary as MySQL prints its opaque values,
// "base64:type15:..."; a TIME or DATETIME as text with six digits of its fraction.
std::optional<Json> json_value(Call& call, int i);
// Argument i as a member's name; NULL: error 3158.
std::optional<std::string> json_key(Call& call, int i);

// Argument i as a path (3143); nullptr: failed. `one_only`: wildcards and ranges are error 3149.
std::shared_ptr<const KeptJsonPath> json_path(Call& call, int i, bool one_only);
// 'one' or 'all' (error 3154); true: one.
std::optional<bool> json_one_or_all(Call& call, int i);

// Answers with the document; deeper than 100: error 3157.
void json_answer(Call& call, const Json& document);
// Whatever print_json() or pretty_json() made of the call's buffer. False: it has been answered otherwise.
bool json_printed(Call& call, JsonPrinted printed);

void fail_too_deep(Call& call);

}  // namespace marmot::mysql
