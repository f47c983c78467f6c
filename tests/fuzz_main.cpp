// SPDX-License-Identifier: GPL-3.0-or-later
// Replays a fuzz target's committed seeds, every truncation of the small ones, and about a second of
// seeded mutations of them. For coverage-guided fuzzing use the `fuzz` preset.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

Input mutate(const Input& seed, std::mt19937_64& random) {
    Input out = seed;
    auto at = [&] { return out.empty() ? 0 : random() % out.size(); };
    for (auto n = random() % 8 + 1; n-- > 0;) {
        if (out.empty()) out.push_back(0);
        static constexpr std::uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe};
        switch (random() % 6) {
            case 0: out[at()] ^= static_cast<std::uint8_t>(1u << random() % 8); break;
            case 1: out[at()] = edges[random() % 6]; break;
            case 2: out[at()] = static_cast<std::uint8_t>(random()); break;
            case 3: out.resize(at()); break;
            case 4: out.insert(out.begin() + static_cast<long>(at()), static_cast<std::uint8_t>(random())); break;
            case 5: for (auto i = at(), e = std::min<std::size_t>(out.size(), i + 8); i < e; ++i) out[i] = 0xff; break;
        }
    }
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<Input> seeds;
    for (int i = 1; i < argc; ++i)
        for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i]))
            if (entry.is_regular_file()) {
                std::ifstream file(entry.path(), std::ios::binary);
                seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
            }
    if (seeds.empty()) {
        std::fprintf(stderr, "no seeds found\n");
        return 1;
    }
    const char* given = std::getenv("SLIPWAY_FUZZ_SEED");
    auto seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::printf("%zu seeds; SLIPWAY_FUZZ_SEED=%llu\n", seeds.size(), static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    std::mt19937_64 random(seed);
    for (const auto& s : seeds) {
        LLVMFuzzerTestOneInput(s.data(), s.size());
        if (s.size() <= 4096)
            for (std::size_t cut = 0; cut < s.size(); ++cut) LLVMFuzzerTestOneInput(Input(s.begin(), s.begin() + static_cast<long>(cut)).data(), cut);
    }
    unsigned long runs = 0;
    for (auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1); std::chrono::steady_clock::now() < end; ++runs) {
        auto input = mutate(seeds[random() % seeds.size()], random);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    std::printf("%lu mutated inputs\n", runs);
}
