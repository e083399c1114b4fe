/** A chain of stores that rents out films: many small tables that hang together, with types and triggers of their own. */
import { fillFrom, upTo, type Sample } from './sample.js';

/** Rows at a scale of 1; clients keep to those that any scale from 0.1 on has. */
const CUSTOMERS = 200;
const FILMS = 100;

export const RENTAL: Sample = {
  about: 'a film rental: 19 tables and 100,000 rows, with a circle of foreign keys and payments in monthly partitions',

  fill: (url, scale) => fillFrom('rental', url, scale),

  async transact(client, id, turn) {
    const [customer, film] = [upTo(CUSTOMERS), upTo(FILMS)];
    const kind = (['rent', 'return', 'rent', 'return', 'review', 'edit'] as const)[turn % 6];
    await client.query('insert into rental.request (id, kind) values ($1, $2)', [id, kind]);
    switch (kind) {
      case 'rent':
        await client.query('select rental.rent_out($1, $2)', [customer, film]);
        break;
      case 'return':
        await client.query('select rental.bring_back()');
        break;
      case 'review':
        await client.query(
          `insert into rental.review (film_id, customer_id, stars, body) values ($1, $2, $3, $4)
           on conflict (film_id, customer_id) do update set stars = excluded.stars, body = excluded.body`,
          [film, customer, 1 + (turn % 5), `turn ${turn}`],
        );
        await client.query('delete from rental.reservation where customer_id = $1', [customer]);
        break;
      default:
        await client.query(
          `update rental.film set description = $2, tags = array_append(tags[1:3], $3), extras = enum_range(null::rental.extra)
           where id = $1`,
          [film, `In which a bird flies for ${turn} days`, `turn ${turn}`],
        );
        await client.query(
          `update rental.customer set preferences = preferences || jsonb_build_object('turn', $2::int) where id = $1`,
          [customer, turn],
        );
    }
  },

  done: 'select id from rental.request',

  promises: {
    'every customer has as many rentals as are counted': `
      select customer_id from rental.loyalty full join
        (select customer_id, count(*) as n from rental.rental group by 1) r using (customer_id) where rentals is distinct from n`,
    'every customer has spent what was paid': `
      select customer_id from rental.loyalty full join
        (select customer_id, sum(amount) as paid from rental.payment group by 1) p using (customer_id)
       where spent is distinct from paid`,
    'a copy is available when it is not out': `
      select c.id from rental.copy c
       where available = exists (select from rental.rental r where r.copy_id = c.id and upper_inf(r.period))`,
    'every rental was paid once': `
      select rental.id from rental.rental left join rental.payment on payment.rental_id = rental.id
       group by 1 having count(payment.id) <> 1`,
    'films are found by what they say': `
      select id from rental.film where search <> to_tsvector('pg_catalog.english', title || ' ' || description)`,
  },
};
