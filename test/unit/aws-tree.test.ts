/** The wire formats of the AWS stand-in: what is written comes back when it is read. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildQuery, buildXml, parseQuery, parseXml, type Branch, type Tree } from '../../lab/aws/tree.js';
import { compareNames } from '../../lab/aws/route53/names.js';

const names = fc.stringMatching(/^[A-Z][a-z]{1,8}$/);
/** Spaces around a value are lost in XML, as they are in AWS's own. */
const values = fc.string({ unit: 'grapheme-ascii', minLength: 1 }).filter((text) => text.trim() === text);

const tree = fc.letrec<{ branch: Branch; list: Tree[]; any: Tree }>((tie) => ({
  branch: fc.dictionary(names, tie('any'), { minKeys: 1, maxKeys: 4 }),
  list: fc.array(fc.oneof(values, tie('branch')), { minLength: 1, maxLength: 12 }),
  any: fc.oneof({ maxDepth: 3 }, values, tie('list'), tie('branch')),
}));

describe('a tree of parameters', () => {
  test('survives the query protocol, lists in their order', () => {
    fc.assert(
      fc.property(tree.branch, (written) => {
        expect(parseQuery(buildQuery(written))).toEqual(written);
      }),
    );
  });

  test('survives XML', () => {
    fc.assert(
      fc.property(tree.branch, (written) => {
        expect(parseXml(`<Answer>${buildXml(written, () => 'member')}</Answer>`)).toEqual({ Answer: written });
      }),
    );
  });

  test('has lists where REST-XML names elements for their list', () => {
    const zones = { HostedZones: [{ Id: 'Z1' }], VPCs: [{ VPCId: 'vpc-1' }] };
    const text = `<Answer>${buildXml(zones, (list) => list.replace(/s$/, ''))}</Answer>`;
    expect(text).toContain('<HostedZones><HostedZone>');
    expect(parseXml(text)).toEqual({ Answer: zones });
  });
});

test('names are sorted by their labels from the right', () => {
  const sorted = ['example.com.', 'a.example.com.', 'b.a.example.com.', 'b.example.com.', 'example.net.'];
  fc.assert(
    fc.property(fc.shuffledSubarray(sorted, { minLength: sorted.length }), (shuffled) => {
      expect([...shuffled].sort(compareNames)).toEqual(sorted);
    }),
  );
});
