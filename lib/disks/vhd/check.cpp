// SPDX-License-Identifier: GPL-3.0-or-later
// What is wrong with a VHD file, and mending it from its copies. Nothing is changed before all of it has been looked
// at, and only bytes that hold a footer, its copy, or a header's checksum are.
#include <algorithm>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/chain.hpp"
#include "lib/disks/vhd/operations.hpp"

namespace slipway::disks {

namespace fs = std::filesystem;
using namespace vhd;

namespace {

using Severity = CheckFinding::Severity;
constexpr std::size_t kListedFaults = 20;

// Two spellings of one disk's footer: what others may write differently does not count.
bool same_disk(const Footer& a, const Footer& b) {
    return a.id == b.id && a.kind == b.kind && a.size == b.size && a.data_offset == b.data_offset;
}

class Checker {
public:
    Checker(Files& files, File file) : files_(files), file_(std::move(file)) {}

    Result<CheckReport> run(bool repair) {
        TRY(look());
        if (repair) TRY(mend());
        return std::move(report_);
    }

private:
    // A change that mends the finding of that number.
    struct Mend {
        std::size_t finding;
        std::uint64_t offset;
        Bytes bytes;
    };

    std::size_t add(Severity severity, std::string text) {
        report_.findings.push_back({severity, std::move(text), false, false});
        return report_.findings.size() - 1;
    }
    void can_mend(std::size_t finding, std::uint64_t offset, Bytes bytes) {
        report_.findings[finding].mendable = true;
        mends_.push_back({finding, offset, std::move(bytes)});
    }

    Status look();
    Status look_at_footers();
    void settle_footers(Result<Footer>& last, Result<Footer>& first, bool identical);
    Status look_at_fixed();
    Status look_at_header();
    Status look_at_table();
    Status look_at_parent();
    void mend_footers();
    Status mend();

    Files& files_;
    File file_;
    CheckReport report_;
    std::vector<Mend> mends_;
    std::optional<Footer> footer_;  // the one to go by
    // Findings that are mended by writing footer_ at the end, and at the start.
    std::optional<std::size_t> bad_last_, bad_first_;
    DynamicHeader header_;
    std::vector<std::uint32_t> table_;
    bool structure_sound_ = false;  // header and table hold together
};

Status Checker::look() {
    TRY(look_at_footers());
    if (!footer_) return {};
    if (footer_->kind == VhdKind::Fixed) return look_at_fixed();
    TRY(look_at_header());
    if (footer_->kind == VhdKind::Differencing && structure_sound_) TRY(look_at_parent());
    if (structure_sound_) mend_footers();
    return {};
}

Status Checker::look_at_footers() {
    if (file_.size() < kFooterBytes - 1) {
        add(Severity::Error, fmt::format("the file is cut: {} bytes cannot hold a footer", file_.size()));
        return {};
    }
    auto last_bytes = TRY(read_last_footer(file_));
    Bytes first_bytes(kFooterBytes);
    if (file_.size() >= kFooterBytes) TRY(file_.read(0, first_bytes));
    auto last = parse_footer(last_bytes), first = parse_footer(first_bytes);
    // A fixed disk has no copy: its first sector is the guest's, even when that looks like a footer.
    if (last.ok() && last->kind == VhdKind::Fixed) {
        footer_ = *last;
        return {};
    }
    settle_footers(last, first, last_bytes == first_bytes);
    if (footer_) return {};
    // Neither is right. Where both say the same but for the sum, the program that wrote them summed wrongly.
    auto fields = parse_footer_unchecked(last_bytes);
    if (fields.ok() && last_bytes == first_bytes && fields->kind != VhdKind::Fixed) {
        footer_ = *fields;
        bad_last_ = add(Severity::Error, "footer: " + last.error().message());
        bad_first_ = add(Severity::Error, "footer copy at the start: the same, byte for byte");
        return {};
    }
    add(Severity::Error, "footer: " + last.error().message());
    if (as_text(ByteView(first_bytes).first(kFooterCookie.size())) == kFooterCookie)
        add(Severity::Error, "footer copy at the start: " + first.error().message());
    return {};
}

void Checker::settle_footers(Result<Footer>& last, Result<Footer>& first, bool identical) {
    if (last.ok()) footer_ = *last;
    if (last.ok() && first.ok()) {
        if (!identical && !same_disk(*last, *first))
            bad_first_ = add(Severity::Warning, "the footer and its copy at the start differ; the footer counts");
        return;
    }
    if (last.ok()) {
        bad_first_ = add(Severity::Warning, "footer copy at the start: " + first.error().message());
    } else if (first.ok() && first->kind != VhdKind::Fixed) {
        footer_ = *first;
        bad_last_ = add(Severity::Error, "footer at the end: " + last.error().message());
    }
}

Status Checker::look_at_fixed() {
    auto place = footer_place(file_);
    const auto& f = *footer_;
    if (f.size > place) {
        add(Severity::Error,
            fmt::format("the file is cut: it holds {} bytes before its footer, the disk has {}", place, f.size));
        return {};
    }
    if (f.size < place)
        add(Severity::Note, fmt::format("{} bytes lie between the disk and its footer", place - f.size));
    // A growing that was cut short leaves the old footer as data, where the disk used to end.
    if (f.original_size < f.size && f.size - f.original_size >= kFooterBytes) {
        Bytes bytes(kFooterBytes);
        TRY(file_.read(f.original_size, bytes));
        auto old = parse_footer(bytes);
        if (old.ok() && old->id == f.id && old->size == f.original_size) {
            auto finding = add(Severity::Warning, fmt::format("a growing was cut short: the old footer shows at disk "
                                                              "byte {}",
                                                              f.original_size));
            can_mend(finding, f.original_size, Bytes(kFooterBytes));
            auto whole = f;
            whole.original_size = f.size;
            can_mend(finding, place, encode_footer(whole));
        }
    }
    return {};
}

Status Checker::look_at_header() {
    Bytes bytes(kHeaderBytes);
    if (footer_->data_offset > file_.size() || file_.size() - footer_->data_offset < kHeaderBytes) {
        add(Severity::Error,
            fmt::format("dynamic header: byte {} lies behind the end of the file", footer_->data_offset));
        return {};
    }
    TRY(file_.read(footer_->data_offset, bytes));
    auto header = parse_header(bytes, footer_->size);
    std::optional<std::size_t> bad_sum;
    if (!header.ok()) {
        auto finding = add(Severity::Error, header.error().message());
        auto fields = parse_header_unchecked(bytes);
        if (!fields.ok() || !check_header(*fields, footer_->size).ok()) return {};
        bad_sum = finding;  // the fields hold together: perhaps only the sum is wrong
        header_ = std::move(fields).value();
    } else {
        header_ = std::move(header).value();
    }
    TRY(look_at_table());
    if (bad_sum && structure_sound_) can_mend(*bad_sum, footer_->data_offset, with_header_checksum(std::move(bytes)));
    return {};
}

Status Checker::look_at_table() {
    auto entries = (footer_->size + header_.block_bytes - 1) / header_.block_bytes;
    if (header_.table_offset > file_.size() || entries * 4 > file_.size() - header_.table_offset) {
        add(Severity::Error,
            fmt::format("block table: bytes {}+{} lie behind the end of the file", header_.table_offset, entries * 4));
        return {};
    }
    Bytes bytes(entries * 4);
    TRY(file_.read(header_.table_offset, bytes));
    table_ = parse_table(bytes);
    auto faults = check_table(table_, header_, file_.size(), kListedFaults + 1);
    for (std::size_t i = 0; i < std::min(faults.size(), kListedFaults); ++i)
        add(Severity::Error, text_of(faults[i], header_));
    if (faults.size() > kListedFaults) add(Severity::Error, "more blocks are wrong than are listed here");
    for (const auto& l : header_.locators)
        if (l.data_offset > file_.size() || l.data_length > file_.size() - l.data_offset)
            add(Severity::Warning,
                fmt::format("parent locator {}: its text lies behind the end of the file", printable(l.platform)));
    structure_sound_ = faults.empty();
    return {};
}

Status Checker::look_at_parent() {
    auto found = find_parent(files_, file_.path(), file_, header_);
    if (!found.ok()) {
        add(Severity::Error, found.error().message());
        return {};
    }
    if (found->changed)
        add(Severity::Warning,
            fmt::format("the parent {} was written since: its content may not fit", printable(found->path.string())));
    auto chain = open_chain(found->path, {OpenMode::ReadOnly, false, &files_});
    if (!chain.ok()) add(Severity::Error, chain.error().message());
    else
        for (auto& warning : chain->warnings) add(Severity::Warning, std::move(warning));
    return {};
}

// Over what is left of the old footer, or behind everything where there is none: no byte that may be data is touched.
void Checker::mend_footers() {
    auto footer = encode_footer(*footer_);
    auto end = end_of_blocks(table_, header_, file_.size());
    if (bad_last_) {
        auto place = footer_place(file_);
        Bytes cookie(kFooterCookie.size());
        bool remains = place >= end && file_.read(place, cookie).ok() && as_text(cookie) == kFooterCookie;
        bool partial = file_.size() < end + kFooterBytes;
        can_mend(*bad_last_,
                 remains   ? place
                 : partial ? end
                           : (file_.size() + kSectorBytes - 1) / kSectorBytes * kSectorBytes,
                 footer);
    }
    if (bad_first_) can_mend(*bad_first_, 0, std::move(footer));
}

// The footer at the end before its copy: at no time are both half written.
Status Checker::mend() {
    for (const auto& m : mends_) {
        TRY(file_.write(m.offset, m.bytes));
        TRY(file_.flush());
        report_.findings[m.finding].mended = true;
    }
    return {};
}

}  // namespace

bool CheckReport::errors_left() const {
    return std::any_of(findings.begin(), findings.end(),
                       [](const auto& f) { return f.severity == Severity::Error && !f.mended; });
}

bool CheckReport::sound() const {
    return std::all_of(findings.begin(), findings.end(),
                       [](const auto& f) { return f.severity == Severity::Note || f.mended; });
}

Result<CheckReport> check_vhd(const fs::path& path, bool repair, const VhdWork& work) {
    auto& files = work.files ? *work.files : real_files();
    auto file = TRY(File::open(files, path, repair ? OpenMode::ReadWrite : OpenMode::ReadOnly));
    if (repair) TRY(lock_for(file.fd(), Use::Write, path.string()));
    return Checker(files, std::move(file)).run(repair);
}

}  // namespace slipway::disks
