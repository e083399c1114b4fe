-- Extensions that only a superuser makes, of those named. $1: their names.
select v.name
from pg_catalog.pg_available_extensions e
join pg_catalog.pg_available_extension_versions v on v.name = e.name and v.version = e.default_version
where e.name = any ($1::text[]) and e.installed_version is null and v.superuser and not v.trusted
order by 1
