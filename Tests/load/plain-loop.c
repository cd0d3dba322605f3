// The floor that the post service is measured against: GET /posts/{id} as a plain FastCGI program would do it.
//
// One thread, one request at a time: libfcgi's blocking FCGX_Accept_r, a blocking statement of libpq, an answer. The statement and
// the JSON are those of the post service (Sources/ServiceKit/Shapes/Post.swift). It is no part of Chatty and knows nothing of tokens:
// everybody is anonymous.
//
// Environment: FLOOR_DATABASE, a connection string of libpq. Standard input is the listening socket, as spawn-fcgi leaves it.

#include <errno.h>
#include <fcgiapp.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const query =
    "SELECT p.id, p.title, p.content, p.image_filename, p.image_key, p.image_alt, p.user_id, u.username, p.created_at, p.updated_at, "
    "s.likes, s.comments, coalesce((SELECT true FROM likes l WHERE l.user_id = $2 AND l.post_id = p.id), false) "
    "FROM posts p JOIN users u ON u.id = p.user_id AND u.blocked_at IS NULL JOIN post_stats s ON s.post_id = p.id "
    "WHERE p.id = $1";

enum { ID, TITLE, CONTENT, IMAGE_FILENAME, IMAGE_KEY, IMAGE_ALT, USER_ID, USERNAME, CREATED_AT, UPDATED_AT, LIKES, COMMENTS, LIKED_BY_ME };

static PGconn *database;
static char body[256 * 1024]; // a content has 20,000 characters at most, of six bytes each when all are escaped
static size_t length;

static void put(const char *text) {
    size_t size = strlen(text);
    if (length + size >= sizeof body) return;
    memcpy(body + length, text, size);
    length += size;
}

static void put_string(const char *text) {
    put("\"");
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        char escaped[8] = {(char)byte, 0};
        if (byte == '"' || byte == '\\') snprintf(escaped, sizeof escaped, "\\%c", byte);
        else if (byte == '\n') strcpy(escaped, "\\n");
        else if (byte < 0x20) snprintf(escaped, sizeof escaped, "\\u%04x", byte);
        put(escaped);
    }
    put("\"");
}

// "2025-11-23 21:38:00.5+00", as a connection in UTC has it, becomes RFC 3339 with six digits of the second.
static void put_time(const char *text) {
    char time[] = "0000-00-00T00:00:00.000000Z";
    size_t size = strcspn(text, "+");
    memcpy(time, text, size < sizeof time - 2 ? size : sizeof time - 2);
    time[10] = 'T';
    put_string(time);
}

static const char *value(PGresult *rows, int column) { return PQgetvalue(rows, 0, column); }

static void put_post(PGresult *rows) {
    put("{\"id\":"), put(value(rows, ID));
    put(",\"title\":"), put_string(value(rows, TITLE));
    put(",\"content\":"), put_string(value(rows, CONTENT));
    put(",\"image_filename\":null,\"image_url\":null,\"thumbnail_url\":null,\"image_alt\":null");
    put(",\"user_id\":"), put(value(rows, USER_ID));
    put(",\"username\":"), put_string(value(rows, USERNAME));
    put(",\"created_at\":"), put_time(value(rows, CREATED_AT));
    put(",\"updated_at\":");
    if (PQgetisnull(rows, 0, UPDATED_AT)) put("null");
    else put_time(value(rows, UPDATED_AT));
    put(",\"like_count\":"), put(value(rows, LIKES));
    put(",\"comment_count\":"), put(value(rows, COMMENTS));
    put(",\"liked_by_me\":"), put(value(rows, LIKED_BY_ME)[0] == 't' ? "true" : "false");
    put("}");
}

// The id in "/posts/17" or "/posts/17?…"; 0 if there is none.
static long long post_id(const char *uri) {
    char *end;
    if (uri == NULL || strncmp(uri, "/posts/", 7) != 0) return 0;
    errno = 0;
    long long id = strtoll(uri + 7, &end, 10);
    return errno == 0 && id > 0 && (*end == 0 || *end == '?') ? id : 0;
}

static void answer(FCGX_Request *request) {
    const char *status = "200 OK";
    char id[24];
    const char *parameters[] = {id, "0"};
    snprintf(id, sizeof id, "%lld", post_id(FCGX_GetParam("REQUEST_URI", request->envp)));

    length = 0;
    PGresult *rows = PQexecPrepared(database, "post", 2, parameters, NULL, NULL, 0);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        fputs(PQerrorMessage(database), stderr);
        status = "500 Internal Server Error";
        put("{\"detail\":\"Internal Server Error\"}");
    } else if (PQntuples(rows) == 0) {
        status = "404 Not Found";
        put("{\"detail\":\"Post not found\"}");
    } else {
        put_post(rows);
    }
    PQclear(rows);
    FCGX_FPrintF(request->out, "Status: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", status, (int)length);
    FCGX_PutStr(body, (int)length, request->out);
}

int main(void) {
    const Oid types[] = {20, 20}; // int8
    const char *where = getenv("FLOOR_DATABASE");
    database = PQconnectdb(where ? where : "");
    PGresult *zone = PQexec(database, "SET TimeZone TO 'UTC'");
    PGresult *prepared = PQprepare(database, "post", query, 2, types);
    if (PQresultStatus(zone) != PGRES_COMMAND_OK || PQresultStatus(prepared) != PGRES_COMMAND_OK) {
        fputs(PQerrorMessage(database), stderr);
        return EXIT_FAILURE;
    }
    PQclear(zone);
    PQclear(prepared);

    FCGX_Request request;
    if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0) return EXIT_FAILURE;
    while (FCGX_Accept_r(&request) == 0) {
        answer(&request);
        FCGX_Finish_r(&request);
    }
    return EXIT_SUCCESS;
}
