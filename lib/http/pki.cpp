// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/http/pki.hpp"

#include <memory>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/base/uuid.hpp"
#include "lib/http/errors.hpp"

namespace slipway::http {

namespace {

template <auto Free>
struct Freer {
    template <typename T>
    void operator()(T* p) const {
        Free(p);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, Freer<X509_REQ_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;

Error crypto_error(const char* what) {
    char text[256] = "";
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return make_error(errors::kCertificate, "{}: {}", what, text);
}

Bio bio_of(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string text_of(BIO* bio) {
    char* data = nullptr;
    auto n = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(n)};
}

Result<Key> load_key(const std::string& pem) {
    Key key(PEM_read_bio_PrivateKey(bio_of(pem).get(), nullptr, nullptr, nullptr));
    if (!key) return crypto_error("the private key");
    return key;
}

Result<Certificate> load_certificate(const std::string& pem) {
    Certificate cert(PEM_read_bio_X509(bio_of(pem).get(), nullptr, nullptr, nullptr));
    if (!cert) return crypto_error("the certificate");
    return cert;
}

Result<Key> make_key() {
    Key key(EVP_EC_gen("P-256"));
    if (!key) return crypto_error("making a key");
    return key;
}

Result<std::string> key_text(EVP_PKEY* key) {
    Bio bio(BIO_new(BIO_s_mem()));
    if (!PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr))
        return crypto_error("writing a key");
    return text_of(bio.get());
}

Result<std::string> certificate_text(X509* certificate) {
    Bio bio(BIO_new(BIO_s_mem()));
    if (!PEM_write_bio_X509(bio.get(), certificate)) return crypto_error("writing a certificate");
    return text_of(bio.get());
}

bool set_common_name(X509_NAME* name, const std::string& text) {
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1;
}

bool add_extension(X509* cert, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
    std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    return extension && X509_add_ext(cert, extension.get(), -1) == 1;
}

struct Extension {
    int nid;
    std::string value;
};

Result<Certificate> build(const std::string& common_name, EVP_PKEY* subject_key, X509* issuer, EVP_PKEY* issuer_key,
                          std::chrono::hours validity, const std::vector<Extension>& extensions) {
    Certificate cert(X509_new());
    X509_set_version(cert.get(), 2);
    std::byte serial[16];
    fill_random(serial);
    serial[0] &= std::byte{0x7f};
    std::unique_ptr<BIGNUM, Freer<BN_free>> number(BN_bin2bn(reinterpret_cast<unsigned char*>(serial), 16, nullptr));
    BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert.get()));
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), static_cast<long>(std::chrono::seconds(validity).count()));
    auto* signer = issuer ? issuer : cert.get();
    if (!set_common_name(X509_get_subject_name(cert.get()), common_name)) return crypto_error("the name");
    X509_set_issuer_name(cert.get(), X509_get_subject_name(signer));
    X509_set_pubkey(cert.get(), subject_key);
    for (const auto& e : extensions)
        if (!add_extension(cert.get(), signer, e.nid, e.value)) return crypto_error("an extension");
    if (!X509_sign(cert.get(), issuer_key, EVP_sha256())) return crypto_error("signing");
    return cert;
}

}  // namespace

Result<Identity> make_ca(const std::string& common_name, std::chrono::hours validity) {
    auto key = TRY(make_key());
    auto cert = TRY(build(common_name, key.get(), nullptr, key.get(), validity,
                          {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                           {NID_key_usage, "critical,keyCertSign,cRLSign"},
                           {NID_subject_key_identifier, "hash"}}));
    auto certificate = TRY(certificate_text(cert.get()));
    auto private_key = TRY(key_text(key.get()));
    return Identity{std::move(certificate), std::move(private_key)};
}

Result<Identity> issue_server(const Identity& ca, const std::string& dns_name, std::chrono::hours validity) {
    auto ca_cert = TRY(load_certificate(ca.certificate_pem));
    auto ca_key = TRY(load_key(ca.key_pem));
    auto key = TRY(make_key());
    auto cert = TRY(build(dns_name, key.get(), ca_cert.get(), ca_key.get(), validity,
                          {{NID_basic_constraints, "critical,CA:FALSE"},
                           {NID_key_usage, "critical,digitalSignature"},
                           {NID_ext_key_usage, "serverAuth"},
                           {NID_subject_alt_name, "DNS:" + dns_name}}));
    auto certificate = TRY(certificate_text(cert.get()));
    auto private_key = TRY(key_text(key.get()));
    return Identity{std::move(certificate), std::move(private_key)};
}

Result<SigningRequest> make_signing_request(const std::string& common_name) {
    auto key = TRY(make_key());
    RequestPtr request(X509_REQ_new());
    X509_REQ_set_pubkey(request.get(), key.get());
    if (!set_common_name(X509_REQ_get_subject_name(request.get()), common_name)) return crypto_error("the name");
    if (!X509_REQ_sign(request.get(), key.get(), EVP_sha256())) return crypto_error("signing");
    Bio bio(BIO_new(BIO_s_mem()));
    if (!PEM_write_bio_X509_REQ(bio.get(), request.get())) return crypto_error("writing a request");
    auto private_key = TRY(key_text(key.get()));
    return SigningRequest{text_of(bio.get()), std::move(private_key)};
}

Result<std::string> sign_request(const Identity& ca, const std::string& request_pem, const std::string& common_name,
                                 std::chrono::hours validity) {
    RequestPtr request(PEM_read_bio_X509_REQ(bio_of(request_pem).get(), nullptr, nullptr, nullptr));
    if (!request) return crypto_error("the signing request");
    auto* key = X509_REQ_get0_pubkey(request.get());
    if (!key || X509_REQ_verify(request.get(), key) != 1) return crypto_error("the signing request's own signature");
    auto ca_cert = TRY(load_certificate(ca.certificate_pem));
    auto ca_key = TRY(load_key(ca.key_pem));
    auto cert = TRY(build(common_name, key, ca_cert.get(), ca_key.get(), validity,
                          {{NID_basic_constraints, "critical,CA:FALSE"},
                           {NID_key_usage, "critical,digitalSignature"},
                           {NID_ext_key_usage, "clientAuth"}}));
    return certificate_text(cert.get());
}

Result<std::string> common_name_of(const std::string& certificate_pem) {
    auto cert = TRY(load_certificate(certificate_pem));
    char name[256];
    auto n = X509_NAME_get_text_by_NID(X509_get_subject_name(cert.get()), NID_commonName, name, sizeof name);
    if (n < 0) return make_error(errors::kCertificate, "the certificate has no common name");
    return std::string(name, static_cast<std::size_t>(n));
}

}  // namespace slipway::http
