import { quoteIdentifier } from '../../src/postgres/identifiers.ts';
import type { Session } from '../../src/postgres/session.ts';

/** One object of every kind that there is a fact for; made in the schema that is first on the path. */
const baseSchema = (role: string): string => `
create type mood as enum ('sad', 'ok', 'happy');
create type pair as (a integer, b text);
create domain email as text default 'x@y' constraint email_check check (value like '%@%');
create function minus(a double precision, b double precision) returns double precision language sql immutable as 'select a - b';
create type span as range (subtype = double precision, multirange_type_name = spans);
create function add(a integer, b integer default 1) returns integer language sql immutable parallel safe as 'select a + b';
create function rows_of() returns setof integer language sql stable as 'select 1';
create function stamp() returns trigger language plpgsql as 'begin return new; end';
create function modern(a integer) returns integer language sql begin atomic select a + 1; end;
create procedure tidy(a integer) language sql as 'select 1';
create aggregate total(integer) (sfunc = int4pl, stype = integer, initcond = '0');
create aggregate moving(integer) (sfunc = int4pl, stype = integer, msfunc = int4pl, minvfunc = int4mi, mstype = integer, initcond = '0', minitcond = '0');
create collation german (provider = libc, locale = 'C');
create table users (
  id bigint generated always as identity primary key, email text not null, name varchar(40) default 'nobody',
  age integer constraint age_check check (age > 0), feeling mood, twice integer generated always as (age * 2) stored,
  note text constraint note_key unique deferrable);
create table orders (
  id serial primary key, user_id bigint constraint orders_user_id_fkey references users (id) on delete cascade,
  total numeric(10, 2) not null, during int4range, at timestamptz default '2024-01-01 00:00:00+00',
  constraint no_overlap exclude using gist (during with &&));
alter table orders add constraint positive check (total >= 0) not valid;
create index orders_total_idx on orders (total) where total > 0;
create index orders_sum_idx on orders ((total + 1));
create unique index orders_user_idx on orders (user_id, id);
create table animals (name text, legs integer);
create table plants (name text, leaves integer);
create table dogs (breed text) inherits (animals);
create table events (id bigint not null, at date not null) partition by range (at);
create index events_at_idx on events (at);
create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
create table of_pair of pair;
create view adults as select id, email from users where age > 17;
create materialized view totals as select user_id, sum(total) as total from orders group by user_id;
create index totals_idx on totals (user_id);
create view writable as select id, name from users;
create rule writable_insert as on insert to writable do instead insert into users (email, name) values ('r@r', new.name);
create trigger users_stamp before update on users for each row execute function stamp('x');
create policy own_rows on users for select to public using (age > 1);
create policy writers on users for insert to public with check (age > 2);
create sequence tickets;
create statistics orders_stats (dependencies) on user_id, total from orders;
create foreign table remote (id integer options (c 'd'), name text) server drift_server options (a 'b');
create operator === (leftarg = integer, rightarg = integer, function = int4eq, commutator = ===);
create operator family numbers using btree;
create operator class fours for type integer using btree family numbers as operator 1 <, operator 3 =, function 1 btint4cmp(integer, integer);
create conversion latin for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
create text search dictionary plain (template = pg_catalog.simple);
create text search configuration words (parser = pg_catalog.default);
alter text search configuration words add mapping for asciiword with plain;
create text search parser letters (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype);
create text search template forms (lexize = dsimple_lexize);
create cast (pair as text) with inout;
alter default privileges in schema SCHEMA grant select on tables to ${role};
create foreign table events_far partition of events for values from ('2025-01-01') to ('2026-01-01') server drift_server;
create materialized view notes as select note, name from users;
alter view adults alter column email set default 'd@d';
alter materialized view notes alter column name set statistics 3, alter column name set (n_distinct = 2);
alter publication drift_pub add table orders where (id > 1);
insert into pg_catalog.pg_seclabel values ('orders'::regclass, 'pg_class'::regclass, 0, 'drift', 'orders');
comment on table users is 'people';
`;

/** Makes what belongs to the database, and these schemas, all alike. */
export async function prepareDatabase(session: Session, schemas: readonly string[], role: string): Promise<void> {
  await session.raw(`create foreign data wrapper drift_wrapper; create server drift_server foreign data wrapper drift_wrapper;
    create server other_server foreign data wrapper drift_wrapper; create publication drift_pub;
    create access method drift_heap type table handler heap_tableam_handler`);
  const { rows } = await session.raw(`select current_setting('server_version_num')::int < 150000 as "isOld"`);
  // Publications of some rows came with 15.
  const text = rows[0].isOld ? baseSchema(role).replace('orders where (id > 1)', 'orders') : baseSchema(role);
  for (const schema of schemas) {
    const name = quoteIdentifier(schema);
    await session.raw(`create schema ${name}; set search_path = ${name}; ${text.replaceAll('SCHEMA', name)}`);
  }
}
