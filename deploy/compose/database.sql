-- Run once by the server's image, in a new database folder, as its superuser: the roles of
-- Fleetline log in as one that owns its database and has no rights beyond it.
\set password `cat /run/secrets/postgres_password`
CREATE ROLE fleetline LOGIN PASSWORD :'password';
CREATE DATABASE fleetline OWNER fleetline;
\connect fleetline
-- Only a superuser may. A server without the extension keeps the history in plain partitions.
SELECT 'CREATE EXTENSION IF NOT EXISTS timescaledb'
WHERE EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
\gexec
