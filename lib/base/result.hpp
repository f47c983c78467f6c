// SPDX-License-Identifier: GPL-3.0-or-later
// Errors are values. Every error has a name from a room's catalogue, a sentence about this case,
// a next step for the operator, and the chain of what was being done.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

namespace slipway {

// One row of a room's error catalogue (ROOM/errors.hpp): a stable name "room.what" and what the
// operator does next. Rows are constants with static lifetime.
struct ErrorId {
    std::string_view name;
    std::string_view next_step;
    bool temporary = false;  // worth trying again unchanged (network away, disk full)
};

class [[nodiscard]] Error {
public:
    Error(const ErrorId& id, std::string message)
        : name_(id.name), message_(std::move(message)), next_step_(id.next_step), temporary_(id.temporary) {}

    // For an error that came over the wire: the parts as the other side named them.
    Error(std::string name, std::string message, std::string next_step, bool temporary)
        : name_(std::move(name)), message_(std::move(message)), next_step_(std::move(next_step)),
          temporary_(temporary) {}

    const std::string& name() const { return name_; }
    const std::string& message() const { return message_; }
    const std::string& next_step() const { return next_step_; }
    bool temporary() const { return temporary_; }
    bool is(const ErrorId& id) const { return name_ == id.name; }

    // Adds what was being done, outermost last: error.with("capturing /dev/sda").
    Error with(std::string context) && {
        context_.push_back(std::move(context));
        return std::move(*this);
    }

    // "capturing /dev/sda: reading superblock: bad magic 0x1234 [disks.ext-superblock]"
    std::string describe() const;
    // describe() and the next step, as an operator should see it.
    std::string explain() const;

private:
    std::string name_;
    std::string message_;
    std::string next_step_;
    std::vector<std::string> context_;
    bool temporary_ = false;
};

template <typename... Args>
Error make_error(const ErrorId& id, fmt::format_string<Args...> format, Args&&... args) {
    return Error(id, fmt::format(format, std::forward<Args>(args)...));
}

// A value or an Error (std::expected is C++23).
template <typename T>
class [[nodiscard]] Result {
public:
    using value_type = T;
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & {
        assert(ok());
        return *std::get_if<0>(&state_);
    }
    const T& value() const& {
        assert(ok());
        return *std::get_if<0>(&state_);
    }
    T&& value() && {
        assert(ok());
        return std::move(*std::get_if<0>(&state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const& {
        assert(!ok());
        return *std::get_if<1>(&state_);
    }
    Error&& error() && {
        assert(!ok());
        return std::move(*std::get_if<1>(&state_));
    }
    T value_or(T other) && { return ok() ? std::move(*this).value() : std::move(other); }

    Result with(std::string context) && {
        if (!ok()) return std::move(*this).error().with(std::move(context));
        return std::move(*this);
    }

private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    bool ok() const { return !error_; }
    explicit operator bool() const { return ok(); }
    void value() const { assert(ok()); }
    const Error& error() const& {
        assert(!ok());
        return *error_;
    }
    Error&& error() && {
        assert(!ok());
        return std::move(*error_);
    }
    Result with(std::string context) && {
        if (error_) return std::move(*error_).with(std::move(context));
        return {};
    }

private:
    std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace slipway

// auto x = TRY(f());  returns the error from the enclosing function, or yields the value.
#define TRY(expression)                                                      \
    __extension__({                                                          \
        auto slipway_try_result = (expression);                              \
        if (!slipway_try_result.ok()) return std::move(slipway_try_result).error(); \
        std::move(slipway_try_result).value();                               \
    })

// The same, adding context: auto x = TRY_WITH(f(), "opening the store");
#define TRY_WITH(expression, context) TRY((expression).with(context))
