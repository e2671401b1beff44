// libmicrohttpd for Swift: its variadic start as a function.
#ifndef CMICROHTTPD_SHIM_H
#define CMICROHTTPD_SHIM_H
#include <microhttpd.h>

/// Starts a server with one thread of its own on a socket that is bound and listens already.
/// The server owns the socket from then on, whether it starts or not.
static inline struct MHD_Daemon *cmicrohttpd_start(int socket, MHD_AccessHandlerCallback handler,
                                                   void *context, unsigned int connections,
                                                   unsigned int timeout_seconds,
                                                   size_t connection_memory) {
  return MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, handler, context,
      MHD_OPTION_LISTEN_SOCKET, socket,
      MHD_OPTION_CONNECTION_LIMIT, connections,
      MHD_OPTION_CONNECTION_TIMEOUT, timeout_seconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory,
      MHD_OPTION_END);
}

/// A response whose body is copied.
static inline struct MHD_Response *cmicrohttpd_response(const void *body, size_t length) {
  return MHD_create_response_from_buffer(length, (void *)body, MHD_RESPMEM_MUST_COPY);
}

/// The value of a request's header, or NULL.
static inline const char *cmicrohttpd_header(struct MHD_Connection *connection,
                                             const char *name) {
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}
#endif
