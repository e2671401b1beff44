// libmicrohttpd for Swift: its variadic start as a function.
#ifndef CMICROHTTPD_SHIM_H
#define CMICROHTTPD_SHIM_H
#include <microhttpd.h>

// Declared here: a header of the system that is included here would belong to this module and to no
// other, and Swift would look for its names in vain elsewhere.
int close(int descriptor);
int strcasecmp(const char *one, const char *other);
void *memchr(const void *bytes, int byte, size_t count);

/// Starts a server with threads of its own that is given its connections; `opened` is told of each
/// one's begin and end, `completed` of each request's end.
static inline struct MHD_Daemon *cmicrohttpd_start(MHD_AccessHandlerCallback handler,
                                                   MHD_NotifyConnectionCallback opened,
                                                   MHD_RequestCompletedCallback completed,
                                                   void *context, unsigned int threads,
                                                   unsigned int connections,
                                                   unsigned int timeout_seconds,
                                                   size_t connection_memory) {
  return MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC, 0, NULL, NULL, handler, context,
      MHD_OPTION_NOTIFY_CONNECTION, opened, context,
      MHD_OPTION_NOTIFY_COMPLETED, completed, context,
      MHD_OPTION_THREAD_POOL_SIZE, threads,
      MHD_OPTION_STRICT_FOR_CLIENT, 1,
      MHD_OPTION_CONNECTION_LIMIT, connections,
      MHD_OPTION_CONNECTION_TIMEOUT, timeout_seconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory,
      MHD_OPTION_END);
}

/// Gives the server a connection; it closes the socket, also when it does not take it.
static inline void cmicrohttpd_add(struct MHD_Daemon *daemon, int socket) {
  // As large and as aligned as a sockaddr_storage.
  union {
    char bytes[128];
    long long alignment;
  } peer;
  socklen_t size = sizeof peer;
  if (getpeername(socket, (struct sockaddr *)&peer, &size) != 0) {
    close(socket);
    return;
  }
  MHD_add_connection(daemon, socket, (struct sockaddr *)&peer, size);
}

/// A response whose body belongs to `owner`, which `release` is given when nobody reads it any more.
static inline struct MHD_Response *cmicrohttpd_response(const void *body, size_t length,
                                                        MHD_ContentReaderFreeCallback release,
                                                        void *owner) {
  return MHD_create_response_from_buffer_with_free_callback_cls(length, (void *)body, release,
                                                                owner);
}

/// The connection's socket, or -1.
static inline int cmicrohttpd_descriptor(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info ? info->connect_fd : -1;
}

/// The value of a request's header, or NULL.
static inline const char *cmicrohttpd_header(struct MHD_Connection *connection,
                                             const char *name) {
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/// What of a request's headers could be read in two ways.
struct cmicrohttpd_doubts {
  int hosts;
  int lengths;
  int encodings;
  int other;
};

/// Counts one header; a name or a value with a zero byte in it is none that can be trusted.
static inline enum MHD_Result cmicrohttpd_count_header(void *context, enum MHD_ValueKind kind,
                                                       const char *name, size_t name_size,
                                                       const char *value, size_t value_size) {
  struct cmicrohttpd_doubts *doubts = (struct cmicrohttpd_doubts *)context;
  (void)kind;
  if (!name || memchr(name, 0, name_size) || (value && memchr(value, 0, value_size)))
    doubts->other++;
  if (!name) return MHD_YES;
  if (!strcasecmp(name, "Host")) doubts->hosts++;
  if (!strcasecmp(name, "Content-Length")) doubts->lengths++;
  if (!strcasecmp(name, "Transfer-Encoding")) {
    doubts->encodings++;
    if (!value || strcasecmp(value, "chunked")) doubts->other++;
  }
  return MHD_YES;
}

/// Whether a request's headers can be read in one way only (RFC 9112): one Host, one length at
/// most, and no length beside a transfer coding.
static inline int cmicrohttpd_is_unambiguous(struct MHD_Connection *connection) {
  struct cmicrohttpd_doubts doubts = {0, 0, 0, 0};
  MHD_get_connection_values_n(connection, MHD_HEADER_KIND, cmicrohttpd_count_header, &doubts);
  return doubts.hosts < 2 && doubts.lengths < 2 && doubts.lengths + doubts.encodings < 2 &&
         !doubts.other;
}
#endif
