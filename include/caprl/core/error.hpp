#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace caprl {

/// The library's one exception: what went wrong, where (file, tensor, line of a data file) and what to do.
///
/// Messages read "[operation] expected ..., got ...". `where` and `remedy` may be empty.
class Error : public std::runtime_error {
 public:
  explicit Error(std::string what, std::string where = {}, std::string remedy = {})
      : std::runtime_error(compose(what, where, remedy)),
        problem_(std::move(what)),
        where_(std::move(where)),
        remedy_(std::move(remedy)) {}

  const std::string& problem() const noexcept { return problem_; }
  const std::string& where() const noexcept { return where_; }
  const std::string& remedy() const noexcept { return remedy_; }

 private:
  static std::string compose(const std::string& what, const std::string& where, const std::string& remedy) {
    std::string message = what;
    if (!where.empty()) message += "\n  where: " + where;
    if (!remedy.empty()) message += "\n  what to do: " + remedy;
    for (char& c : message) c = c == '\0' ? '?' : c;  // text of a file, which would end the message for what()
    return message;
  }

  std::string problem_;
  std::string where_;
  std::string remedy_;
};

/// Throws `Error` unless `condition` holds. The message must be cheap to form: build costly ones inside an `if`.
inline void require(bool condition, std::string_view problem, std::string_view where = {},
                    std::string_view remedy = {}) {
  if (!condition) [[unlikely]] {
    throw Error(std::string(problem), std::string(where), std::string(remedy));
  }
}

/// Calls body(). An `Error` that it throws then says `where` before the place, if any, that it named itself.
template <class Body>
decltype(auto) located(const std::string& where, const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw Error(error.problem(), error.where().empty() ? where : where + ", " + error.where(), error.remedy());
  }
}

}  // namespace caprl
