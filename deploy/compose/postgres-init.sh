#!/bin/sh
# Makes the login of the query APIs: it may become bookstock_reader, and nothing else. Run once, by PostgreSQL's image.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$QUERY_PASSWORD" --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
CREATE ROLE bookstock_reader NOLOGIN;
CREATE ROLE bookstock_query LOGIN NOINHERIT PASSWORD :'password';
GRANT bookstock_reader TO bookstock_query;
SQL
