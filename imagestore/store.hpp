// SPDX-License-Identifier: GPL-3.0-or-later
// A store: a directory with
//   FORMAT            "slipway-store 1\nid UUID\n"
//   lock              flock(2): shared by a commit, exclusive by gc's sweep; readers take none
//   packs/ID.pack     sealed, never changed again (pack.hpp has the bytes)
//   packs/ID.tmp      being written by the process that holds its flock; left by a dead writer it
//                     is salvaged: its whole records become a pack
//   images/NAME/N     the manifest of version N (manifest.hpp), never changed again; whoever reads the image holds a
//                     shared flock on it (a lease), which outlives `delete`: gc then keeps what it names
//   images/NAME/N.deleted   a deleted version: emptied by gc, kept so that N is not given again
// Any directory will do (local, NFS, CIFS). Several processes may write and read at once. Packs
// appear by rename after fsync, manifests after their chunks, so that at every instant each
// manifest names only chunks that are there.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "imagestore/chunk_sink.hpp"
#include "imagestore/chunk_source.hpp"
#include "imagestore/files.hpp"
#include "imagestore/manifest.hpp"
#include "imagestore/names.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/progress.hpp"

namespace slipway::imagestore {

struct StoreOptions {
    bool create = false;                    // make the store when the directory is empty or missing
    std::shared_ptr<Files> files;           // null: the real ones. Shared: writers outlive no store, tests watch it
    std::uint64_t pack_bytes = 256u << 20;  // a pack is sealed beyond this
    std::uint64_t group_bytes = 32u << 20;  // fsync at least this often …
    std::chrono::milliseconds group_time{1000};  // … or this
};

struct WriterOptions {
    bool check_chunks = true;  // decode and hash each put(); false only where this process hashed it itself
};

struct ImageVersion {
    std::string name;
    std::uint32_t version = 0;
    std::uint64_t manifest_bytes = 0;
    std::string text() const { return name + "@" + std::to_string(version); }
};

struct VerifyReport {
    std::uint64_t packs = 0, chunks = 0, bytes = 0, images = 0;
    std::vector<std::string> damaged;  // "packs/X.pack: chunk … at byte …: …", one a finding
    struct HurtImage {
        std::string image;                 // "web@3"
        std::uint64_t missing_chunks = 0;  // damaged or absent
        std::string reason;                // of the manifest itself, else empty
    };
    std::vector<HurtImage> hurt;
    std::vector<std::string> notes;          // left-over temporary files and the like
    std::vector<std::string> damaged_packs;  // file names
    bool ok() const { return damaged.empty() && hurt.empty(); }
};

struct HealReport {
    std::uint64_t packs = 0, chunks_kept = 0, chunks_lost = 0;
};

struct GcReport {
    std::uint64_t packs_removed = 0, packs_rewritten = 0, chunks_removed = 0;
    std::uint64_t bytes_freed = 0;
    std::uint64_t packs_young = 0;  // with garbage, but inside the grace period
    std::uint64_t manifests_emptied = 0;
};

struct GcOptions {
    std::chrono::seconds grace{24 * 3600};  // packs used more recently than this are left alone
    bool dry_run = false;
};

struct StoreSize {
    std::uint64_t packs = 0, chunks = 0, bytes = 0;
};

class StoreWriter;

// A store's manifest, open for streamed reading. While it is open its chunks stay, also when the image is deleted and
// gc runs, with any grace period: gc sees the lease. It ends with the object, or with the process.
class StoredManifest final : public ManifestBytes {
public:
    std::uint64_t size() const override { return size_; }
    Status read(std::uint64_t offset, std::span<std::byte> out) const override;
    const ImageVersion& version() const { return version_; }
    // False where the file system has no locks: then a long reader relies on the grace period alone.
    bool leased() const { return leased_; }

private:
    friend class Store;
    Status take_lease(const std::filesystem::path& path);
    bool leased_ = false;
    UniqueFd fd_;
    std::uint64_t size_ = 0;
    std::shared_ptr<Files> files_;
    ImageVersion version_;
};

// Thread-safe; the object must outlive its writers. Memory: 16 bytes a chunk in the store.
class Store final : public ChunkSource {
public:
    // Errors: imagestore.not-a-store, imagestore.newer-format, base.*.
    static Result<std::unique_ptr<Store>> open(const std::filesystem::path& directory, StoreOptions options = {});
    ~Store() override;

    // ---- chunks
    Result<Bytes> get(const ChunkId& id) override;  // looks for packs of other writers before it gives up
    Result<bool> contains(const ChunkId& id);
    // Bytes of the encoded chunk; nothing when it is not there.
    Result<std::optional<std::uint32_t>> stored_length(const ChunkId& id);
    // A connection for one capture. Salvages packs of dead writers first.
    Result<std::unique_ptr<StoreWriter>> writer(WriterOptions options = {});

    // ---- images
    Result<std::vector<ImageVersion>> images() const;  // by name, then version
    Result<ImageVersion> resolve(const ImageRef& ref) const;
    Result<std::unique_ptr<StoredManifest>> manifest(const ImageRef& ref) const;
    // Deleted versions that somebody still reads; for gc.
    Result<std::vector<std::unique_ptr<StoredManifest>>> leased_manifests() const;
    // One version, or all of a name when ref.version is 0. Space comes back by gc().
    Result<std::vector<ImageVersion>> remove(const ImageRef& ref);

    // ---- care
    Result<VerifyReport> verify(const ProgressSink& progress = {}, const std::atomic<bool>* cancel = nullptr);
    // Sets these packs (VerifyReport::damaged_packs) aside as NAME.damaged, after their whole chunks went into new
    // packs: what is lost then counts as missing, and the next capture of those machines sends it again. A server
    // that uses the store is restarted afterwards.
    Result<HealReport> heal(const std::vector<std::string>& packs);
    Result<GcReport> gc(const GcOptions& options, const Clock& clock);
    Result<StoreSize> size();
    Result<std::uint64_t> salvage();  // packs made of dead writers' temporary files
    const std::filesystem::path& directory() const;
    const std::string& id() const;

private:
    friend class StoreWriter;
    struct State;
    explicit Store(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// ChunkSink into a local store. Its packs are its own; several writers, of one process or of many,
// run side by side. Destroyed without commit(), it seals what it took, so that nothing is sent again.
class StoreWriter final : public ChunkSink {
public:
    ~StoreWriter() override;
    Result<std::vector<bool>> have(std::span<const ChunkId> ids) override;
    Status put(const ChunkId& id, ByteView encoded) override;
    Status flush() override;
    Result<CommitResult> commit(std::string_view name, const ManifestBytes& manifest) override;
    std::uint64_t stored_bytes() const;  // encoded bytes taken
    std::uint64_t stored_chunks() const;

private:
    friend class Store;
    struct State;
    explicit StoreWriter(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace slipway::imagestore
