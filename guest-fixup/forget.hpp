// SPDX-License-Identifier: GPL-3.0-or-later
// Changes to a guest whose content is nobody's business: keys, scripts with passwords in them, logs, histories. The
// report says what and where, and of the content its digest alone. What is forgotten comes back when the repair fails,
// and not by an undo.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/guest.hpp"

namespace slipway::fixup {

// Originals of what is changed meanwhile are not kept beyond the repair.
class Forgetting {
public:
    explicit Forgetting(Guest& guest) : guest_(guest), before_(guest.forgets_originals()) {
        guest_.forget_originals(true);
    }
    Forgetting(const Forgetting&) = delete;
    Forgetting& operator=(const Forgetting&) = delete;
    ~Forgetting() { guest_.forget_originals(before_); }

private:
    Guest& guest_;
    bool before_;
};

// A new file has this mode and belongs to root.
Status write_private(Guest& guest, const std::string& what, const std::string& path, const std::string& content,
                     unsigned mode = 0600);
Status forget(Guest& guest, const std::string& what, const std::string& path);          // removes a file or a link
Status forget_content(Guest& guest, const std::string& what, const std::string& path);  // leaves it empty

// Not secret, but not for Guest::remove() either: the link itself goes, wherever it leads.
Status remove_link(Guest& guest, const std::string& what, const std::string& path);
// What the link says; nullopt when path is no link.
std::optional<std::string> link_target(const Guest& guest, const std::string& path);

// The files and links below a directory, sorted, links not followed; of kMostFiles names, 12 levels deep.
inline constexpr std::size_t kMostFiles = 50'000;
std::vector<std::string> files_below(const Guest& guest, const std::string& directory);
// Names in directory that fit pattern, with the directory; '*' stands for any characters.
std::vector<std::string> matching(const Guest& guest, const std::string& directory, std::string_view pattern);
bool fits(std::string_view name, std::string_view pattern);

}  // namespace slipway::fixup
