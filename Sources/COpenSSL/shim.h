// OpenSSL for Swift: its function-like macros as functions.
#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline long copenssl_set_min_version(SSL_CTX *context, int version) {
  return SSL_CTX_set_min_proto_version(context, version);
}
static inline long copenssl_set_max_version(SSL_CTX *context, int version) {
  return SSL_CTX_set_max_proto_version(context, version);
}
/// Short writes, and retries from memory that has moved: as with a plain socket.
static inline long copenssl_set_socket_like_writes(SSL_CTX *context) {
  return SSL_CTX_set_mode(
      context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}
/// No compression, no renegotiation, and an end without close_notify is an ordinary end.
static inline void copenssl_set_usual_options(SSL_CTX *context) {
  SSL_CTX_set_options(
      context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
}
static inline long copenssl_set_server_name(SSL *session, const char *name) {
  return SSL_set_tlsext_host_name(session, name);
}
/// A key file's passphrase; without a callback of its own OpenSSL takes this text.
static inline void copenssl_set_passphrase(SSL_CTX *context, const char *text) {
  SSL_CTX_set_default_passwd_cb_userdata(context, (void *)text);
}
static inline int copenssl_note_request(SSL *session, void *unused) {
  (void)unused;
  SSL_set_app_data(session, session);
  return 1;
}
/// Sessions of this context remember whether the server asked for a certificate.
static inline void copenssl_note_certificate_requests(SSL_CTX *context) {
  SSL_CTX_set_cert_cb(context, copenssl_note_request, NULL);
}
static inline int copenssl_was_certificate_requested(const SSL *session) {
  return SSL_get_app_data(session) != NULL;
}
/// One alternative name of a certificate; its bytes belong to the list.
typedef struct {
  int type;
  const unsigned char *bytes;
  int count;
} copenssl_name;
static inline GENERAL_NAMES *copenssl_alternative_names(const X509 *certificate) {
  return (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
}
static inline int copenssl_names_count(const GENERAL_NAMES *names) {
  return sk_GENERAL_NAME_num(names);
}
/// Names that are neither DNS names nor addresses come without bytes.
static inline copenssl_name copenssl_names_at(const GENERAL_NAMES *names, int index) {
  const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
  copenssl_name found = {name->type, NULL, 0};
  if (name->type == GEN_DNS || name->type == GEN_IPADD) {
    found.bytes = ASN1_STRING_get0_data(name->d.ip);
    found.count = ASN1_STRING_length(name->d.ip);
  }
  return found;
}
static inline void copenssl_names_free(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }
#endif
