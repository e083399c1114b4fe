-- What a change stream tells up to a position, in portions of so many messages, each portion as one value: a row of its own for each
-- message costs the client 5 us. A message comes as its length here, its length, the hash of its row, and its bytes. An INSERT or UPDATE
-- that holds nothing but the row as it is now (byte 5 is N) is cut: of the tables whose key comes first, as numbers of pg_class in four
-- bytes, little of it says which row it is. All others come whole. What begins and ends transactions is left out.
select string_agg(message, ''::bytea order by n) as messages
from (
  select n, int4send(octet_length(told)) || int4send(octet_length(data)) || int8send(hash) || told as message
  from (
    select n, data, :hash as hash,
      case when get_byte(data, 0) in (73, 85) and get_byte(data, 5) = 78
        then substring(data for case when substring(data from 2 for 4) = any (:leading::bytea[]) then :short else :long end)
        else data
      end as told
    from pg_logical_slot_peek_binary_changes(:slot, :position::pg_lsn, null,
      'proto_version', '1', 'publication_names', :publication) with ordinality as change(lsn, xid, data, n)
    where get_byte(data, 0) not in (66, 67)
  ) as cut
) as framed
group by (n - 1) / :portion
order by (n - 1) / :portion
