// SPDX-License-Identifier: GPL-3.0-or-later
// Differencing disks: make one, merge it into its parent, tell it where its parent went.
#include <algorithm>

#include "lib/base/strings.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/chain.hpp"
#include "lib/disks/vhd/operations.hpp"

namespace slipway::disks {

namespace fs = std::filesystem;
using namespace vhd;

namespace {

constexpr std::uint64_t kMergeBytes = 2u << 20;

// Everything the child's own sectors hold, into the parent.
Status pour(SparseDisk& child, BlockDevice& parent, const VhdWork& work, MergeReport& report) {
    Bytes buffer(kMergeBytes);
    for (std::uint64_t at = 0;;) {
        if (work.cancel && work.cancel->load())
            return make_error(errors::kVhdCancelled, "stopped on request; the child is whole, merge it again");
        auto run = TRY(child.next_own(at));
        if (run.length == 0) break;
        for (at = run.offset; at < run.offset + run.length;) {
            auto part = std::span(buffer).first(std::min<std::uint64_t>(kMergeBytes, run.offset + run.length - at));
            TRY(child.read(at, part));
            TRY(parent.write(at, part));
            at += part.size();
            report.merged_bytes += part.size();
        }
        if (work.progress) work.progress({at, child.size(), "merging"});
    }
    return parent.flush();
}

Result<Image> load_child(const File& file, const fs::path& path) {
    auto image = TRY_WITH(load_image(file), path.string());
    if (image.footer.kind != VhdKind::Differencing)
        return make_error(errors::kVhdUnsupported, "{} is a {} disk and has no parent", path.string(),
                          name_of(image.footer.kind));
    return image;
}

}  // namespace

Result<DifferenceReport> create_difference(const fs::path& parent, const fs::path& child, std::uint32_t block_bytes,
                                           const VhdWork& work) {
    auto& files = work.files ? *work.files : real_files();
    // The whole chain is opened: a child of a disk that cannot be read is good for nothing.
    auto opened = TRY(open_chain(parent, {OpenMode::ReadOnly, true, &files}));
    if (opened.parents.size() + 2 > kMaxChain)
        return make_error(errors::kVhdUnsupported, "a chain of more than {} disks", kMaxChain);
    TRY(check_block_bytes(block_bytes, opened.footer.size));
    auto paths = TRY(spell_parent(child, parent));
    Image image;
    image.footer = new_footer(VhdKind::Differencing, opened.footer.size);
    image.footer.geometry = opened.footer.geometry;
    image.header.block_bytes = block_bytes;
    image.header.parent_id = opened.footer.id;
    image.header.parent_timestamp = TRY(parent_time(parent));
    image.header.parent_name = windows_path(paths.absolute);
    auto made = TRY(NewFile::create(files, child));
    TRY(write_empty(made.file(), image, paths));
    TRY(made.publish());
    return DifferenceReport{image.footer.size, image.footer.id, image.header.parent_id};
}

Result<std::vector<std::string>> reconnect_vhd(const fs::path& child, const fs::path& parent, const VhdWork& work) {
    auto& files = work.files ? *work.files : real_files();
    auto file = TRY(File::open(files, child, OpenMode::ReadWrite));
    TRY(lock_for(file.fd(), Use::Write, child.string()));
    auto image = TRY(load_child(file, child));
    {
        auto new_parent = TRY(File::open(files, parent, OpenMode::ReadOnly));
        auto footer = TRY_WITH(load_footer(new_parent), parent.string()).footer;
        if (footer.id != image.header.parent_id)
            return make_error(errors::kVhdParent, "{} (id {}) is not the parent of {}, whose id is {}", parent.string(),
                              footer.id.text(), child.string(), image.header.parent_id.text());
    }
    auto paths = TRY(spell_parent(fs::canonical(child), parent));
    // New paths go behind everything, with a new footer behind them, before the header names them: a crash leaves the
    // old ones or the new ones. The header's time stays: a parent that was written since stays a warning.
    std::vector<ParentLocator> locators;
    for (const auto& l : image.header.locators)
        if (l.platform != kRelativePath && l.platform != kAbsolutePath) locators.push_back(l);
    for (auto [platform, path] : {std::pair{kAbsolutePath, &paths.absolute}, {kRelativePath, &paths.relative}}) {
        auto text = to_utf16(windows_path(*path), false);
        auto locator = make_locator(platform, text, image.end);
        text.resize(locator.data_space);
        TRY(file.write(image.end + text.size(), encode_footer(image.footer)));
        TRY(file.write(image.end, text));
        image.end += text.size();
        locators.insert(locators.begin(), std::move(locator));
    }
    locators.resize(std::min(locators.size(), kLocators));
    TRY(file.flush());
    image.header.locators = std::move(locators);
    image.header.parent_name = windows_path(paths.absolute);
    TRY(file.write(image.footer.data_offset, encode_header(image.header)));
    TRY(file.flush());
    auto opened = TRY(open_chain(child, {OpenMode::ReadOnly, false, &files}));
    return std::move(opened.warnings);
}

Result<MergeReport> merge_vhd(const fs::path& child, bool keep_child, const VhdWork& work) {
    auto& files = work.files ? *work.files : real_files();
    fs::path parent_path;
    Uuid child_id;
    {
        auto file = TRY(File::open(files, child, OpenMode::ReadOnly));
        auto image = TRY(load_child(file, child));
        child_id = image.footer.id;
        auto found = TRY(find_parent(files, child, file, image.header));
        parent_path = found.path;
        TRY(refuse_children(files, child, child_id, "merged"));
        TRY(refuse_children(files, parent_path, image.header.parent_id, "merged into", child));
    }
    MergeReport report;
    report.parent = parent_path;
    {
        // The parent is locked for writing by itself: the child's own chain then only reads.
        auto parent = TRY(open_chain(parent_path, {OpenMode::ReadWrite, true, &files}));
        auto opened = TRY(open_chain(child, {OpenMode::ReadOnly, false, &files}));
        TRY(lock_for(opened.sparse->file().fd(), Use::Write, child.string()));
        if (parent.disk->size() != opened.disk->size())
            return make_error(errors::kVhdUnsupported, "{} has {} bytes and its parent {}: merge it into a new disk",
                              child.string(), opened.disk->size(), parent.disk->size());
        TRY(pour(*opened.sparse, *parent.disk, work, report));
    }
    if (keep_child) return report;
    TRY(files.remove(child));
    report.child_removed = true;
    return report;
}

}  // namespace slipway::disks
