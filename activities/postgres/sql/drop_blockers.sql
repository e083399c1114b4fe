-- What stands on objects that we made without being part of them: somebody else's, which an undo must not take along.
-- $1: scope.
with recursive ours(classid, objid) as (
  select class, object from godwit.created_object where scope = $1 and undo = 'drop'
  union
  select d.classid, d.objid
  from ours o
  join pg_catalog.pg_depend d on d.refclassid = o.classid and d.refobjid = o.objid and d.deptype in ('i', 'a', 'e', 'P', 'S')
)
select distinct i.type, i.identity
from ours o
join pg_catalog.pg_depend d on d.refclassid = o.classid and d.refobjid = o.objid and d.deptype = 'n'
cross join lateral pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
where (d.classid, d.objid) not in (select classid, objid from ours)
order by 1, 2
limit 20
