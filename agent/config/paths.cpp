#include "agent/config/paths.hpp"

#include <filesystem>

namespace marmot::agent {

std::string marmot_dir(const std::string& database_path) { return database_path + "-marmot"; }

Result<std::string> canonical_path(const std::string& path) {
  std::error_code error;
  const std::filesystem::path given(path);
  auto whole = std::filesystem::canonical(given, error);
  if (!error) return whole.string();
  const auto parent = std::filesystem::canonical(given.has_parent_path() ? given.parent_path() : ".", error);
  if (error) {
    return make_error(Errc::bad_input, path + ": no such folder: " + given.parent_path().string() + " (" +
                                           error.message() + ")", error.value());
  }
  return (parent / given.filename()).string();
}

}  // namespace marmot::agent
