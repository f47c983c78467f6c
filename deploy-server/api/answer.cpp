// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/api/answer.hpp"

#include <algorithm>

#include "deploy-server/db/json.hpp"
#include "deploy-server/errors.hpp"
#include "imagestore/errors.hpp"
#include "lib/base/errors.hpp"
#include "pxe/errors.hpp"
#include "tftp/errors.hpp"

namespace slipway::server {

namespace {

struct Rule {
    const ErrorId* id;
    unsigned status;
};
// 409 is left to conflicts and to a commit's missing chunks; 503 makes an agent try again for ever, so a full disk,
// which must fail the task, is 507.
const Rule kStatuses[] = {
    {&errors::kUnauthorized, 401},
    {&errors::kBadToken, 403},
    {&errors::kNoCertificate, 403},
    {&errors::kClaimedTwice, 403},
    {&errors::kVoidCertificate, 403},
    {&errors::kReplacedCertificate, 403},
    {&errors::kNetbootIgnored, 403},
    {&pxe::errors::kIsoUnderSecureBoot, 403},
    {&errors::kUnknownDevice, 403},
    {&errors::kNotControlled, 403},
    {&errors::kNotYourTask, 403},
    {&errors::kNoDevice, 404},
    {&errors::kNoBootImage, 404},
    {&pxe::errors::kNoLoader, 404},
    {&errors::kNoGroup, 404},
    {&errors::kNoJob, 404},
    {&errors::kNoSequence, 404},
    {&errors::kNoArtifact, 404},
    {&errors::kNoUpload, 404},
    {&errors::kNoWork, 404},
    {&errors::kNoMulticast, 404},
    {&errors::kNoPatchFile, 404},
    {&errors::kNoDhcp, 404},
    {&errors::kNoLease, 404},
    {&errors::kNoReservation, 404},
    {&errors::kNoRamdisk, 404},
    {&slipway::errors::kNotFound, 404},
    {&tftp::errors::kNotFound, 404},
    {&tftp::errors::kAccess, 404},
    {&imagestore::errors::kNoImage, 404},
    {&imagestore::errors::kChunkMissing, 404},
    {&errors::kExists, 409},
    {&errors::kGroupExists, 409},
    {&errors::kOtherMachine, 409},
    {&errors::kDeviceBusy, 409},
    {&errors::kJobState, 409},
    {&errors::kImageInUse, 409},
    {&errors::kReserved, 409},
    {&errors::kNoDriver, 409},
    {&errors::kDatabase, 503},
    {&errors::kTooManyUploads, 503},
    {&slipway::errors::kNoSpace, 507},
    {&imagestore::errors::kWriterBroken, 507},
    {&slipway::errors::kIo, 500},
};

}  // namespace

unsigned status_of(const Error& error) {
    const auto* row =
        std::find_if(std::begin(kStatuses), std::end(kStatuses), [&](const Rule& r) { return error.is(*r.id); });
    return row == std::end(kStatuses) ? 400 : row->status;
}

http::Response error_response(const Error& error) { return http::Response::json(status_of(error), error_json(error)); }

http::Handler handler(std::function<Answer(const http::Request&)> function) {
    return [function = std::move(function)](http::Request request, http::Responder out) {
        auto answer = function(request);
        out.send(answer ? std::move(*answer) : error_response(answer.error()));
    };
}

}  // namespace slipway::server
