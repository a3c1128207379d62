// Functions that change JSON documents (MySQL 8.0 manual, 14.17.4).
#include <algorithm>

#include "common/mysql/functions/json_call.hpp"
#include "common/mysql/functions/json_functions.hpp"

namespace marmot::mysql {

namespace {

// Arguments: document, then pairs of path and value. NULL when the document or a path is NULL.
bool pairs_are_there(Call& call) {
  if (call.count() % 2 == 0) {
    call.fail(kErWrongParamCount, "Incorrect parameter count in the call to native function '" + std::string(call.name()) + "'");
    return false;
  }
  if (call.is_null(0)) return false;
  for (int i = 1; i < call.count(); i += 2) {
    if (call.is_null(i)) return false;
  }
  return true;
}

// Calls change(document, path, value) for each pair, then answers with the document. change() returns how deep in the document the
// value now lies, or -1 if nowhere: what would become too deep fails at once, so that no document grows deeper pair by pair.
template <class Change>
void change_pairs(Call& call, Change change) {
  if (!pairs_are_there(call)) return;
  std::optional<Json> document = json_document(call, 0);
  if (!document) return;
  for (int i = 1; i < call.count(); i += 2) {
    const auto path = json_path(call, i, true);
    if (path == nullptr) return;
    std::optional<Json> value = json_value(call, i + 1);
    if (!value) return;
    const int below = value->nesting();
    const int depth = change(*document, path->path, std::move(*value));
    if (depth >= 0 && depth + below > kJsonMostDepth) return fail_too_deep(call);
    if (call.failed()) return;
  }
  json_answer(call, *document);
}

void insert_at(Json::Array& array, const JsonIndex& index, Json value) {
  array.insert(array.begin() + static_cast<std::ptrdiff_t>(index.position(array.size())), std::move(value));
}

// Where the path names nothing: into the object or array that it would be in; a value that is no array becomes one.
int add(Json& document, const JsonPath& path, Json value) {
  int depth = 0;
  Json* parent = path.locate_parent(document, &depth);
  if (parent == nullptr) return -1;
  const JsonLeg& leg = path.legs().back();
  if (leg.kind == JsonLeg::Kind::member) {
    if (!parent->is_object()) return -1;
    parent->object().put(leg.key, std::move(value));
  } else {
    // What is wrapped lies one deeper as well.
    if (!parent->is_array()) depth += parent->nesting();
    insert_at(parent->wrapped(), leg.first, std::move(value));
  }
  return depth + 1;
}

enum class There { keep, replace };
enum class Absent { ignore, insert };

void change_values(Call& call, There there, Absent absent) {
  change_pairs(call, [&](Json& document, const JsonPath& path, Json value) {
    int depth = 0;
    Json* found = path.locate(document, &depth);
    if (found == nullptr) return absent == Absent::insert ? add(document, path, std::move(value)) : -1;
    if (there == There::keep) return -1;
    *found = std::move(value);
    return depth;
  });
}

// --- merging -----------------------------------------------------------------------------------------------------------

Json preserved(Json left, Json right);

Json preserved_objects(std::vector<JsonMember> left, std::vector<JsonMember> right) {
  std::vector<JsonMember> out;
  out.reserve(left.size() + right.size());
  size_t l = 0, r = 0;
  while (l < left.size() || r < right.size()) {
    const int order = l == left.size() ? 1 : r == right.size() ? -1 : JsonObject::compare_keys(left[l].key, right[r].key);
    if (order < 0) {
      out.push_back(std::move(left[l++]));
    } else if (order > 0) {
      out.push_back(std::move(right[r++]));
    } else {
      out.push_back({std::move(left[l].key), preserved(std::move(left[l].value), std::move(right[r].value))});
      ++l, ++r;
    }
  }
  return Json(JsonObject(std::move(out)));
}

Json preserved(Json left, Json right) {
  if (left.is_object() && right.is_object()) return preserved_objects(std::move(left.object()).take(), std::move(right.object()).take());
  Json::Array& array = left.wrapped();
  if (right.is_array()) {
    array.insert(array.end(), std::make_move_iterator(right.array().begin()), std::make_move_iterator(right.array().end()));
  } else {
    array.push_back(std::move(right));
  }
  return left;
}

// RFC 7396. `target` is empty where the patch has a member that the target lacks.
Json patched(std::optional<Json> target, Json patch) {
  if (!patch.is_object()) return patch;
  std::vector<JsonMember> left;
  if (target && target->is_object()) left = std::move(target->object()).take();
  std::vector<JsonMember> right = std::move(patch.object()).take(), out;
  size_t l = 0;
  for (JsonMember& member : right) {
    while (l < left.size() && JsonObject::compare_keys(left[l].key, member.key) < 0) out.push_back(std::move(left[l++]));
    std::optional<Json> old;
    if (l < left.size() && left[l].key == member.key) old = std::move(left[l++].value);
    if (!member.value.is_null()) out.push_back({std::move(member.key), patched(std::move(old), std::move(member.value))});
  }
  std::move(left.begin() + static_cast<std::ptrdiff_t>(l), left.end(), std::back_inserter(out));
  return Json(JsonObject(std::move(out)));
}

// --- removing ----------------------------------------------------------------------------------------------------------

void remove_at(Json& document, const JsonPath& path) {
  int depth = 0;
  Json* parent = path.locate_parent(document, &depth);
  if (parent == nullptr) return;
  const JsonLeg& leg = path.legs().back();
  if (leg.kind == JsonLeg::Kind::member) {
    if (parent->is_object()) parent->object().remove(leg.key);
  } else if (parent->is_array() && leg.first.within(parent->array().size())) {
    Json::Array& array = parent->array();
    array.erase(array.begin() + static_cast<std::ptrdiff_t>(leg.first.position(array.size())));
  }
}

}  // namespace

// JSON_SET(json_doc, path, val[, path, val] ...): replaces what is there, inserts what is not
void json_set(Call& call) { change_values(call, There::replace, Absent::insert); }

// JSON_INSERT(json_doc, path, val[, path, val] ...): only what is not there
void json_insert(Call& call) { change_values(call, There::keep, Absent::insert); }

// JSON_REPLACE(json_doc, path, val[, path, val] ...): only what is there
void json_replace(Call& call) { change_values(call, There::replace, Absent::ignore); }

// JSON_ARRAY_APPEND(json_doc, path, val[, path, val] ...)
void json_array_append(Call& call) {
  change_pairs(call, [](Json& document, const JsonPath& path, Json value) {
    int depth = 0;
    Json* found = path.locate(document, &depth);
    if (found == nullptr) return -1;
    if (!found->is_array()) depth += found->nesting();
    found->wrapped().push_back(std::move(value));
    return depth + 1;
  });
}

// JSON_ARRAY_INSERT(json_doc, path, val[, path, val] ...): the path names an element, which moves up
void json_array_insert(Call& call) {
  change_pairs(call, [&](Json& document, const JsonPath& path, Json value) {
    if (path.legs().empty() || path.legs().back().kind != JsonLeg::Kind::cell) {
      call.fail(kErInvalidJsonPathArrayCell, "A path expression is not a path to a cell in an array.");
      return -1;
    }
    int depth = 0;
    Json* parent = path.locate_parent(document, &depth);
    if (parent == nullptr || !parent->is_array()) return -1;
    insert_at(parent->array(), path.legs().back().first, std::move(value));
    return depth + 1;
  });
}

// JSON_REMOVE(json_doc, path[, path] ...)
void json_remove(Call& call) {
  std::optional<Json> document = json_document(call, 0);
  if (!document) return;
  for (int i = 1; i < call.count(); ++i) {
    const auto path = json_path(call, i, true);
    if (path == nullptr) return;
    if (path->path.legs().empty()) return call.fail(kErJsonVacuousPath, "The path expression '$' is not allowed in this context.");
    remove_at(*document, path->path);
  }
  json_answer(call, *document);
}

// JSON_MERGE_PRESERVE(json_doc, json_doc[, json_doc] ...): arrays are joined, of equal keys both values kept
void json_merge_preserve(Call& call) {
  std::optional<Json> out;
  for (int i = 0; i < call.count(); ++i) {
    if (call.is_null(i)) return;
    std::optional<Json> next = json_document(call, i);
    if (!next) return;
    out = out ? preserved(std::move(*out), std::move(*next)) : std::move(*next);
    if (out->nesting() > kJsonMostDepth) return fail_too_deep(call);
  }
  json_answer(call, *out);
}

// JSON_MERGE_PATCH(json_doc, json_doc[, json_doc] ...): of equal keys the last value kept. NULL makes the answer NULL, but for what
// follows it: a document that is no object replaces whatever was before.
void json_merge_patch(Call& call) {
  std::optional<Json> out;
  for (int i = 0; i < call.count(); ++i) {
    std::optional<Json> next;
    if (!call.is_null(i)) {
      next = json_document(call, i);
      if (!next) return;
    }
    if (i == 0) {
      out = std::move(next);
    } else if (!next || (!out && next->is_object())) {
      out.reset();
    } else {
      out = patched(std::move(out), std::move(*next));
    }
  }
  if (out) json_answer(call, *out);
}

}  // namespace marmot::mysql
