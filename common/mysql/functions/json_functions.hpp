// The bodies behind json.cpp's table that lie in files of their own.
#pragma once

#include "common/mysql/functions/call.hpp"

namespace marmot::mysql {

// json_search.cpp: 14.17.3
void json_contains(Call& call);
void json_contains_path(Call& call);
void json_extract(Call& call);
void json_keys(Call& call);
void json_overlaps(Call& call);
void json_search(Call& call);
void member_of(Call& call);

// json_value.cpp: 14.17.3
void json_value_at(Call& call);

// json_modify.cpp: 14.17.4
void json_array_append(Call& call);
void json_array_insert(Call& call);
void json_insert(Call& call);
void json_merge_patch(Call& call);
void json_merge_preserve(Call& call);
void json_remove(Call& call);
void json_replace(Call& call);
void json_set(Call& call);

}  // namespace marmot::mysql
