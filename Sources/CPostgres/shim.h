#include <libpq-fe.h>

// Ends a statement of a pipeline. libpq 17 can queue that without a system call of its own; older versions send at once.
static inline int chatty_pipeline_sync(PGconn *connection) {
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
  return PQsendPipelineSync(connection);
#else
  return PQpipelineSync(connection);
#endif
}
