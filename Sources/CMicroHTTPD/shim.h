// libmicrohttpd for Swift: its variadic start as a function.
#ifndef CMICROHTTPD_SHIM_H
#define CMICROHTTPD_SHIM_H
#include <microhttpd.h>

/// Starts a server with threads of its own on a socket that is bound and listens already; `opened`
/// is told of each connection's begin and end, `completed` of each request's end.
/// The server owns the socket from then on, whether it starts or not.
static inline struct MHD_Daemon *cmicrohttpd_start(int socket, MHD_AccessHandlerCallback handler,
                                                   MHD_NotifyConnectionCallback opened,
                                                   MHD_RequestCompletedCallback completed,
                                                   void *context, unsigned int threads,
                                                   unsigned int connections,
                                                   unsigned int timeout_seconds,
                                                   size_t connection_memory) {
  return MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, handler, context,
      MHD_OPTION_LISTEN_SOCKET, socket,
      MHD_OPTION_NOTIFY_CONNECTION, opened, context,
      MHD_OPTION_NOTIFY_COMPLETED, completed, context,
      MHD_OPTION_THREAD_POOL_SIZE, threads,
      MHD_OPTION_STRICT_FOR_CLIENT, 1,
      MHD_OPTION_CONNECTION_LIMIT, connections,
      MHD_OPTION_CONNECTION_TIMEOUT, timeout_seconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory,
      MHD_OPTION_END);
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
#endif
