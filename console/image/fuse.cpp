// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/image/fuse.hpp"

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstring>

#include "console/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

std::size_t FileTree::directory(const std::string& path) {
    std::size_t at = 0;
    for (const auto& name : split(path, '/')) {
        if (name.empty()) continue;
        auto [child, fresh] = nodes_[at].children.try_emplace(name, nodes_.size());
        auto next = child->second;
        if (fresh) nodes_.push_back({at, nullptr, {}});
        at = next;
    }
    return at;
}

bool FileTree::add_directory(const std::string& path) {
    auto before = nodes_.size();
    directory(path);
    return nodes_.size() != before;
}

bool FileTree::add_file(const std::string& path, std::shared_ptr<disks::BlockDevice> content) {
    if (!add_directory(path)) return false;
    nodes_.back().content = std::move(content);
    return true;
}

namespace {

// Nothing of it ever changes: the kernel need not ask again.
constexpr double kForEver = 1e9;
constexpr std::size_t kReadAhead = 1u << 20;

const FileTree& tree_of(fuse_req_t request) { return *static_cast<const FileTree*>(fuse_req_userdata(request)); }

const FileTree::Node* node_of(fuse_req_t request, fuse_ino_t inode) {
    const auto& nodes = tree_of(request).nodes();
    return inode >= 1 && inode <= nodes.size() ? &nodes[inode - 1] : nullptr;
}

struct stat attributes(const FileTree::Node& node, fuse_ino_t inode) {
    struct stat out {};
    out.st_ino = inode;
    out.st_uid = ::getuid();
    out.st_gid = ::getgid();
    if (node.content) {
        out.st_mode = S_IFREG | 0444;
        out.st_nlink = 1;
        out.st_size = static_cast<off_t>(node.content->size());
        out.st_blocks = static_cast<blkcnt_t>((node.content->size() + 511) / 512);
        out.st_blksize = kReadAhead;
    } else {
        out.st_mode = S_IFDIR | 0555;
        out.st_nlink = 2;
    }
    return out;
}

void on_init(void*, fuse_conn_info* connection) { connection->max_readahead = kReadAhead; }

void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
    const auto* node = node_of(request, parent);
    fuse_entry_param entry{};
    entry.attr_timeout = entry.entry_timeout = kForEver;
    if (!node) return void(fuse_reply_err(request, ENOENT));
    auto found = node->children.find(name);
    if (found == node->children.end()) return void(fuse_reply_err(request, ENOENT));
    entry.ino = found->second + 1;
    entry.attr = attributes(*node_of(request, entry.ino), entry.ino);
    fuse_reply_entry(request, &entry);
}

void on_getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
    const auto* node = node_of(request, inode);
    if (!node) return void(fuse_reply_err(request, ENOENT));
    auto info = attributes(*node, inode);
    fuse_reply_attr(request, &info, kForEver);
}

void on_readdir(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
    const auto* node = node_of(request, inode);
    if (!node || node->content) return void(fuse_reply_err(request, ENOTDIR));
    std::vector<std::pair<std::string, std::size_t>> names{{".", inode - 1}, {"..", node->parent}};
    names.insert(names.end(), node->children.begin(), node->children.end());
    std::vector<char> out(std::min<std::size_t>(size, 64u << 10));
    std::size_t used = 0;
    for (auto i = static_cast<std::size_t>(std::max<off_t>(offset, 0)); i < names.size(); ++i) {
        auto number = names[i].second;
        auto info = attributes(tree_of(request).nodes()[number], number + 1);
        auto needed = fuse_add_direntry(request, out.data() + used, out.size() - used, names[i].first.c_str(), &info,
                                        static_cast<off_t>(i + 1));
        if (needed > out.size() - used) break;
        used += needed;
    }
    fuse_reply_buf(request, out.data(), used);
}

void on_open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
    const auto* node = node_of(request, inode);
    if (!node || !node->content) return void(fuse_reply_err(request, node ? EISDIR : ENOENT));
    if ((file->flags & O_ACCMODE) != O_RDONLY) return void(fuse_reply_err(request, EROFS));
    file->keep_cache = 1;
    fuse_reply_open(request, file);
}

void on_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
    const auto* node = node_of(request, inode);
    if (!node || !node->content || offset < 0) return void(fuse_reply_err(request, EINVAL));
    auto start = std::min<std::uint64_t>(static_cast<std::uint64_t>(offset), node->content->size());
    auto length = std::min<std::uint64_t>(size, node->content->size() - start);
    Bytes out(length);
    auto read = node->content->read(start, out);
    if (!read) {
        log::error("mount", "bytes {}+{}: {}", start, length, read.error().describe());
        return void(fuse_reply_err(request, EIO));
    }
    fuse_reply_buf(request, reinterpret_cast<const char*>(out.data()), out.size());
}

void on_statfs(fuse_req_t request, fuse_ino_t) {
    struct statvfs out {};
    out.f_bsize = out.f_frsize = 4096;
    out.f_namemax = 255;
    for (const auto& node : tree_of(request).nodes())
        if (node.content) out.f_blocks += node.content->size() / 4096;
    fuse_reply_statfs(request, &out);
}

constexpr fuse_lowlevel_ops make_operations() {
    fuse_lowlevel_ops out{};
    out.init = on_init;
    out.lookup = on_lookup;
    out.getattr = on_getattr;
    out.readdir = on_readdir;
    out.open = on_open;
    out.read = on_read;
    out.statfs = on_statfs;
    return out;
}
constexpr fuse_lowlevel_ops kOperations = make_operations();

// libfuse says why a mount failed only in its log. One mount a process, and before its threads.
std::string& last_words() {
    static std::string text;
    return text;
}

void keep_words(fuse_log_level, const char* format, va_list arguments) {
    std::array<char, 512> line{};
    std::vsnprintf(line.data(), line.size(), format, arguments);
    last_words() = std::string(trim(line.data()));
}

// In a container the node may be there and still not be allowed.
Status check_fuse() {
    auto fd = open_fd("/dev/fuse", O_RDWR);
    if (fd) return {};
    return make_error(errors::kNoFuse, "{}", fd.error().message());
}

}  // namespace

void FuseMount::Free::operator()(fuse_session* session) const {
    fuse_session_unmount(session);
    fuse_session_destroy(session);
}

FuseMount::~FuseMount() = default;

Result<FuseMount> FuseMount::create(const FileTree& tree, const std::string& at, const Options& options) {
    TRY(check_fuse());
    fuse_set_log_func(keep_words);
    auto text = "ro,subtype=slipway,fsname=" + options.source + (options.everybody ? ",allow_other" : "");
    std::string program = "slipway", flag = "-o";
    std::array<char*, 3> argv{program.data(), flag.data(), text.data()};
    fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(argv.size()), argv.data());
    FuseMount out;
    auto* session = fuse_session_new(&arguments, &kOperations, sizeof kOperations, const_cast<FileTree*>(&tree));
    fuse_opt_free_args(&arguments);
    if (!session) return make_error(errors::kMountFailed, "{}: {}", at, printable(last_words()));
    if (fuse_session_mount(session, at.c_str()) != 0) {
        fuse_session_destroy(session);
        return make_error(errors::kMountFailed, "{}: {}", at, printable(last_words()));
    }
    out.session_.reset(session);
    return out;
}

Status FuseMount::serve() {
    // libfuse takes only signals that nobody else has taken.
    for (int number : {SIGHUP, SIGINT, SIGTERM}) std::signal(number, SIG_DFL);
    if (fuse_set_signal_handlers(session_.get()) != 0)
        return make_error(errors::kMountFailed, "signals cannot be taken: {}", printable(last_words()));
    auto* config = fuse_loop_cfg_create();
    int ended = fuse_session_loop_mt(session_.get(), config);
    fuse_loop_cfg_destroy(config);
    fuse_remove_signal_handlers(session_.get());
    if (ended < 0) return make_error(errors::kMountFailed, "serving ended: {}", std::strerror(-ended));
    return {};
}

}  // namespace slipway::console
