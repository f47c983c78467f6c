// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/probe.hpp"

namespace slipway::gatherhw {

namespace {
class FakeProbe final : public Probe {
public:
    explicit FakeProbe(Inventory answer) : answer_(std::move(answer)) {}
    Result<Inventory> collect() override { return answer_; }

private:
    Inventory answer_;
};
}  // namespace

std::unique_ptr<Probe> fake_probe(Inventory answer) { return std::make_unique<FakeProbe>(std::move(answer)); }

}  // namespace slipway::gatherhw
