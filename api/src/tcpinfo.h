/* Linux's struct tcp_info from what the TCP core tells about a connection.  Pure. */
#ifndef WEFT_API_TCPINFO_H
#define WEFT_API_TCPINFO_H

#include "net/tcp/tcp.h"
#include <netinet/tcp.h>

/* Members that weft has nothing for are 0. */
void tcpinfo_fill(struct tcp_info *info, const struct tcp_status *status);

#endif
