// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/http/tls.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/base/fd.hpp"
#include "lib/http/errors.hpp"

namespace slipway::http {

namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

bool has_aes_instructions() {
#if defined(__x86_64__) || defined(__i386__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AES);
#else
    return true;
#endif
}

boost::asio::const_buffer buffer_of(const std::string& text) { return {text.data(), text.size()}; }

Result<TlsContext> make_context(ssl::context::method method) {
    auto context = std::make_shared<ssl::context>(method);
    auto* raw = context->native_handle();
    SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(raw, 0);
    // The server takes ChaCha20 as well when it is the client that names it first (the client is without AES-NI).
    SSL_CTX_set_options(raw, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    const char* suites = has_aes_instructions()
                             ? "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
                             : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
    if (SSL_CTX_set_ciphersuites(raw, suites) != 1)
        return make_error(errors::kTls, "no TLS 1.3 cipher suite is usable");
    return context;
}

Status use_identity(ssl::context& context, const Identity& identity) {
    error_code error;
    context.use_certificate_chain(buffer_of(identity.certificate_pem), error);
    if (error) return make_error(errors::kCertificate, "our certificate: {}", error.message());
    context.use_private_key(buffer_of(identity.key_pem), ssl::context::pem, error);
    if (error) return make_error(errors::kCertificate, "our private key: {}", error.message());
    if (SSL_CTX_check_private_key(context.native_handle()) != 1)
        return make_error(errors::kCertificate, "our private key does not belong to our certificate");
    return {};
}

Status trust(ssl::context& context, const std::string& ca_pem) {
    error_code error;
    context.add_certificate_authority(buffer_of(ca_pem), error);
    if (error || ca_pem.empty()) return make_error(errors::kCertificate, "the CA certificate: {}", error.message());
    context.set_verify_mode(ssl::verify_peer, error);
    return {};
}

}  // namespace

Result<TlsContext> make_server_context(const TlsOptions& options) {
    auto context = TRY(make_context(ssl::context::tls_server));
    TRY(use_identity(*context, options.identity));
    if (!options.client_ca_pem.empty()) TRY_WITH(trust(*context, options.client_ca_pem), "client certificates");
    return context;
}

Result<TlsContext> make_client_context(const std::string& ca_pem, const std::optional<Identity>& identity) {
    auto context = TRY(make_context(ssl::context::tls_client));
    TRY(trust(*context, ca_pem));
    if (identity) TRY(use_identity(*context, *identity));
    return context;
}

Status expect_server_name(SSL* ssl, const std::string& name) {
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (name.empty() || SSL_set1_host(ssl, name.c_str()) != 1 || SSL_set_tlsext_host_name(ssl, name.c_str()) != 1)
        return make_error(errors::kTls, "'{}' is not a name that a certificate can carry", name);
    return {};
}

std::string verified_peer_name(SSL* ssl) {
    std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl), X509_free);
    if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return {};
    char name[256];
    int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof name);
    std::string text(name, length > 0 ? static_cast<std::size_t>(length) : 0);
    return text.find('\0') == std::string::npos ? text : std::string();
}

std::string handshake_failure(SSL* ssl, const error_code& error) {
    auto verdict = SSL_get_verify_result(ssl);
    if (verdict == X509_V_OK) return error.message();
    return std::string("the certificate was refused: ") + X509_verify_cert_error_string(verdict);
}

}  // namespace slipway::http
