// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image export` and `import`: one image as a file or through a pipe.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <iostream>

#include "console/errors.hpp"
#include "console/image/image.hpp"
#include "console/image/place.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/transfer.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"

namespace slipway::console {

namespace {

namespace fs = std::filesystem;
using namespace slipway::imagestore;

class FdOutput final : public ManifestOutput {
public:
    explicit FdOutput(int fd) : fd_(fd) {}
    Status write(ByteView bytes) override { return write_full(fd_, bytes).with("writing the exported image"); }

private:
    int fd_;
};

class FdStream final : public ByteStream {
public:
    explicit FdStream(int fd) : fd_(fd) {}
    // A pipe may bring nothing for as long as it likes: a signal ends the wait.
    Result<std::size_t> read(std::span<std::byte> out) override {
        std::size_t got = 0;
        while (got < out.size()) {
            pollfd ready{fd_, POLLIN, 0};
            int events = ::poll(&ready, 1, 200);
            if (cancel_flag()) return make_error(imagestore::errors::kCancelled, "the import was cancelled");
            if (events == 0 || (events < 0 && errno == EINTR)) continue;
            auto n = ::read(fd_, out.data() + got, out.size() - got);
            if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (n < 0) return errno_error(errno, "reading the exported image");
            if (n == 0) break;
            got += static_cast<std::size_t>(n);
        }
        return got;
    }

private:
    int fd_;
};

// A new file that has its name only when it is whole.
class NewFile {
public:
    explicit NewFile(fs::path path) : path_(std::move(path)), temp_(path_) { temp_ += ".part-" + random_token(4); }
    ~NewFile() {
        if (fd_.valid()) ::unlink(temp_.c_str());
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    Result<int> open() {
        // Said before the work rather than after it.
        std::error_code ignored;
        if (fs::exists(path_, ignored)) return make_error(slipway::errors::kExists, "{} exists", path_.string());
        fd_ = TRY(open_fd(temp_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
        return fd_.get();
    }
    Status finish() {
        TRY(fsync_fd(fd_.get(), path_.string()));
        TRY(Files().publish(temp_, path_));
        TRY(fd_.close());
        return fsync_directory(path_.parent_path().empty() ? fs::path(".") : path_.parent_path());
    }
    const fs::path& path() const { return path_; }

private:
    fs::path path_, temp_;
    UniqueFd fd_;
};

struct ExportArguments {
    PlaceName place;
    std::string name, to;
};

Result<ExitCode> export_command(const ExportArguments& a, const Context& context) {
    auto place = TRY(open_place(a.place));
    auto image = TRY(place->image(TRY(ImageRef::parse(a.name))));
    const auto& version = image.version;
    auto write = [&](int fd) {
        FdOutput output(fd);
        return export_image(version.name, version.version, *image.manifest, *image.chunks, output,
                            progress_printer(context), &cancel_flag());
    };
    auto text = [&](const ExportReport& r, const std::string& to) {
        return fmt::format("{}: {} in {} chunks, to {}\n", version.text(), human_bytes(r.bytes), r.chunks, to);
    };
    if (a.to == "-") {
        if (::isatty(STDOUT_FILENO))
            return make_error(errors::kUsage, "an exported image is no text: redirect it, or give --to FILE");
        auto report = TRY(write(STDOUT_FILENO));
        std::cerr << text(report, "standard output");
        return kExitDone;
    }
    std::error_code ignored;
    NewFile file(fs::is_directory(a.to, ignored) ? fs::path(a.to) / (version.text() + ".slipimg") : fs::path(a.to));
    auto report = TRY(write(TRY(file.open())));
    TRY(file.finish());
    context.print(text(report, file.path().string()), {{"image", version.text()},
                                                       {"file", file.path().string()},
                                                       {"bytes", report.bytes},
                                                       {"chunks", report.chunks}});
    return kExitDone;
}

struct ImportArguments {
    PlaceName place;
    std::string from, name;
};

Result<ExitCode> import_command(const ImportArguments& a, const Context& context) {
    UniqueFd file;
    // A named pipe that nobody writes to is waited for where a signal is heard, not in open().
    if (a.from != "-") file = TRY(open_fd(a.from, O_RDONLY | O_NONBLOCK));
    else if (::isatty(STDIN_FILENO)) return make_error(errors::kUsage, "nothing is piped in: give --from FILE");
    if (a.place.store.empty() && a.name.empty())
        return make_error(errors::kUsage, "for the server's store give --name: it is told before the file is read");
    auto place = TRY(open_place(a.place, true));
    auto sink = TRY(place->sink(a.name, false));
    FdStream in(a.from == "-" ? STDIN_FILENO : file.get());
    auto r = TRY_WITH(import_image(in, a.name, *sink, progress_printer(context), &cancel_flag()),
                      "importing " + (a.from == "-" ? std::string("standard input") : a.from));
    context.print(fmt::format("{}: {} read, {} chunks, {} of them new to the store\n", r.image, human_bytes(r.bytes),
                              r.chunks, r.stored),
                  {{"image", r.image}, {"bytes", r.bytes}, {"chunks", r.chunks}, {"stored_chunks", r.stored}});
    return kExitDone;
}

}  // namespace

void add_image_transfer(CLI::App& image, Context& context) {
    auto out = std::make_shared<ExportArguments>();
    auto* app = add_command(image, context, "export", "Write an image with all its chunks into one file",
                            "  slipway image export web --store /srv/store --to /mnt/usb\n"
                            "  slipway image export web@2 --store /srv/store --to - | ssh host slipway image import "
                            "--from - --store /srv/store\n");
    app->add_option("name", out->name, "NAME or NAME@VERSION")->required();
    add_place_options(*app, out->place);
    app->add_option("--to", out->to, "the new file, a directory (for NAME@VERSION.slipimg), or - for standard output")
        ->required();
    on_command(*app, context, [out, &context] { return export_command(*out, context); });

    auto in = std::make_shared<ImportArguments>();
    app = add_command(image, context, "import",
                      "Take an exported image into a store; run again it goes on where it was cut off",
                      "  slipway image import --from web@2.slipimg --store /srv/store\n"
                      "  slipway image import --from - --store /srv/store --name web-copy < web@2.slipimg\n");
    app->add_option("--from", in->from, "the file, or - for standard input")->required();
    add_place_options(*app, in->place);  // a directory is made a store when it is empty
    app->add_option("--name", in->name, "another name than the one it was exported under");
    on_command(*app, context, [in, &context] { return import_command(*in, context); });
}

}  // namespace slipway::console
