/** What preflight says of traffic: docs/preflight.md is made of it, too. */
import type { Rules } from '../../preflight/check.js';

export type AccessId = 'aws-credentials' | 'aws-permission' | 'aws-unreachable' | 'dns-unreachable';

export const ACCESS_RULES: Rules<AccessId> = {
  'aws-credentials': {
    severity: 'error',
    title: 'AWS does not take the credentials',
    why: 'No step of this unit could be done, nor undone.',
    mend: 'Give the workers credentials as AWS SDKs find them, for as long as the migration takes: an instance profile or a role for service accounts renews itself; exported session tokens end after hours.',
  },
  'aws-permission': {
    severity: 'error',
    title: 'A right in AWS is missing',
    why: 'The step that needs it would fail. Rights to change can not be tried without changing, so those to read alone are known here.',
    mend: 'Give the worker, or the role of the unit, the policy that godwit plan --iam prints.',
  },
  'aws-unreachable': {
    severity: 'error',
    title: 'The API of AWS does not answer as it should',
    why: 'No step of this unit could be done, nor undone.',
    mend: 'Let the workers reach it, or correct aws.endpoint and aws.region.',
  },
  'dns-unreachable': {
    severity: 'error',
    title: 'The name servers can not be asked',
    why: 'Whether the world sees a change could not be proven.',
    mend: 'Let the workers ask DNS over UDP and TCP, their resolver and the name servers of the zone; GODWIT_DNS=ADDRESS:PORT names another resolver.',
  },
};

export type AlbId =
  | 'alb-not-found'
  | 'alb-traffic-elsewhere'
  | 'alb-locked'
  | 'alb-managed-elsewhere'
  | 'alb-stickiness'
  | 'green-on-other-load-balancer'
  | 'green-serves-already'
  | 'green-in-other-vpc'
  | 'green-without-targets'
  | 'green-protocol'
  | 'green-protocol-version'
  | 'green-settings-differ';

export const ALB_RULES: Rules<AlbId> = {
  'alb-not-found': {
    severity: 'error',
    title: 'A listener, rule or target group is not there',
    why: 'There is nothing to move.',
    mend: 'Correct the ARN, the region or the role.',
  },
  'alb-traffic-elsewhere': {
    severity: 'error',
    title: 'The traffic does not go to blue alone, or there is no room for green',
    why: 'The steps share the traffic between blue and green; what goes elsewhere would be moved unasked. Weights that are there already, of green too, are no steps of this migration. An action forwards to five target groups at most.',
    mend: 'Name as blue the target group that has the traffic, take the weight from all others, and remove one of five.',
  },
  'alb-locked': {
    severity: 'error',
    title: 'Another migration holds the listener or rule',
    why: 'Two that write the same weights undo one another.',
    mend: 'Wait for the other, or abort it; if it is no more, remove its tag.',
  },
  'alb-managed-elsewhere': {
    severity: 'warning',
    title: 'Tags say that somebody else manages the listener or rule',
    why: 'Whoever manages it may write it back in the middle. That is noticed, and holds the migration, but not prevented.',
    mend: 'Stop it meanwhile, or make it ignore the weights: suspend the reconciliation of the ingress, ignore_changes in Terraform. Afterwards write there what the migration made.',
  },
  'alb-stickiness': {
    severity: 'info',
    title: 'Target group stickiness keeps users where they are',
    why: 'Weights decide for new users alone; others follow when their cookie ends. The share of requests lags behind the weight, and finalize waits for the cookies.',
    mend: 'Nothing; or shorten its duration before.',
  },
  'green-on-other-load-balancer': {
    severity: 'error',
    title: 'The target group of green belongs to another load balancer',
    why: 'A target group belongs to one load balancer at most; AWS would refuse to attach it.',
    mend: 'Make a target group of its own for green.',
  },
  'green-serves-already': {
    severity: 'warning',
    title: 'The target group of green serves other listeners or rules',
    why: 'Its metrics count that traffic, too, so the judge would judge a mixture.',
    mend: 'Make a target group of its own for green, or take it out there.',
  },
  'green-in-other-vpc': {
    severity: 'error',
    title: 'The target group of green is in another VPC',
    why: 'AWS refuses to attach it.',
    mend: 'Make it in the VPC of the load balancer; between VPCs, move by Route 53.',
  },
  'green-without-targets': {
    severity: 'error',
    title: 'The target group of green has no targets',
    why: 'It would never be healthy, and its share of the requests would be answered with 503.',
    mend: 'Register its targets.',
  },
  'green-protocol': {
    severity: 'error',
    title: 'A target group is not one of an Application Load Balancer',
    why: 'AWS refuses to attach it.',
    mend: 'Make one with protocol HTTP or HTTPS.',
  },
  'green-protocol-version': {
    severity: 'warning',
    title: 'Green is spoken to in another protocol than blue',
    why: 'Clients or targets may not work with it.',
    mend: 'Make green with the protocol and version of blue, unless it is meant so.',
  },
  'green-settings-differ': {
    severity: 'error',
    title: 'The target group of green is set up in another way than that of blue',
    why: 'It would serve in another way for a reason that is no difference of the versions: another health check, less time to drain, no slow start.',
    mend: 'Make them equal; or write settings: apply, which makes them so and puts them back, or settings: ignore.',
  },
};

export type RecordId =
  | 'record-not-found'
  | 'record-not-movable'
  | 'record-traffic-elsewhere'
  | 'record-delegated-elsewhere'
  | 'record-locked'
  | 'record-managed-elsewhere'
  | 'record-alias'
  | 'record-alias-not-compared'
  | 'record-load-balancers-differ'
  | 'record-long-ttl';

export const RECORD_RULES: Rules<RecordId> = {
  'record-not-found': {
    severity: 'error',
    title: 'The hosted zone is not there',
    why: 'There is nothing to move.',
    mend: 'Correct the id of the zone, or the role.',
  },
  'record-not-movable': {
    severity: 'error',
    title: 'The record can not be moved by weights',
    why: 'There is none of this name and type, or it is routed by latency, place, failover or the like, with which weights do not mix; or the zone is private, and its answers can not be checked from outside.',
    mend: 'Make it a simple or weighted record of a public zone first.',
  },
  'record-traffic-elsewhere': {
    severity: 'error',
    title: 'The records do not lead to blue alone',
    why: 'The steps share the answers between blue and green; what goes elsewhere would be moved unasked.',
    mend: 'Name as blue where the record leads, and take the weight from all others.',
  },
  'record-delegated-elsewhere': {
    severity: 'error',
    title: 'The parent of the zone delegates it to other name servers',
    why: 'Nobody asks this hosted zone, so changes of it would change nothing.',
    mend: 'Name the hosted zone that is delegated to, or correct the delegation at the registrar.',
  },
  'record-locked': {
    severity: 'error',
    title: 'Another migration holds the record',
    why: 'Two that write the same weights undo one another.',
    mend: 'Wait for the other, or abort it; if it is no more, delete its TXT record.',
  },
  'record-managed-elsewhere': {
    severity: 'warning',
    title: 'Somebody else manages the record or its zone',
    why: 'Whoever manages it may write it back in the middle. That is noticed, and holds the migration, but not prevented.',
    mend: 'Stop it meanwhile: exclude the name from external-dns, ignore_changes in Terraform. Afterwards write there what the migration made.',
  },
  'record-alias': {
    severity: 'info',
    title: 'Blue or green is an alias record',
    why: 'An alias has no TTL of its own: resolvers keep it as long as its target says, 60 seconds for a load balancer.',
    mend: 'Nothing.',
  },
  'record-alias-not-compared': {
    severity: 'info',
    title: 'The load balancers that blue and green lead to are not compared',
    why: 'One of them is not to be seen with these credentials: it is in another account, or it is no load balancer of this kind.',
    mend: 'Compare their attributes yourself.',
  },
  'record-load-balancers-differ': {
    severity: 'warning',
    title: "Green's load balancer is set up in another way than blue's",
    why: 'It would serve in another way for a reason that is no difference of the versions, or not be there one day: another idle time-out, no access logs, no deletion protection.',
    mend: 'Make them equal, unless it is meant so: aws elbv2 modify-load-balancer-attributes.',
  },
  'record-long-ttl': {
    severity: 'info',
    title: 'The TTL of the record is long',
    why: 'It is lowered first, and the old one waited out before any traffic moves.',
    mend: 'Nothing; or lower it the day before.',
  },
};

export type CertificateId =
  | 'certificate-zone'
  | 'certificate-zone-delegated-elsewhere'
  | 'certificate-caa'
  | 'certificate-listener'
  | 'certificate-no-room'
  | 'listener-certificate-ends'
  | 'listener-certificate-unknown';

export const CERTIFICATE_RULES: Rules<CertificateId> = {
  'certificate-zone': {
    severity: 'error',
    title: 'The hosted zone can not validate the names of the certificate',
    why: 'ACM looks the validation records up as everybody does: they have to be in the public zone that answers for each of the names.',
    mend: 'Name the public hosted zone that answers for all names of the certificate; names of another zone need a certificate of their own.',
  },
  'certificate-zone-delegated-elsewhere': {
    severity: 'error',
    title: 'The parent of the zone of the certificate delegates it to other name servers',
    why: 'Nobody asks this hosted zone, ACM neither, so the certificate would never be issued.',
    mend: 'Name the hosted zone that is delegated to, or correct the delegation at the registrar.',
  },
  'certificate-caa': {
    severity: 'error',
    title: 'A CAA record keeps Amazon from issuing the certificate',
    why: 'ACM would refuse the certificate with CAA_ERROR.',
    mend: 'Add a CAA record that allows amazon.com; issuewild for a wildcard, where there is one.',
  },
  'certificate-listener': {
    severity: 'error',
    title: 'The listener for the certificate does not speak HTTPS',
    why: 'Only HTTPS listeners have certificates; AWS would refuse it.',
    mend: 'Name the HTTPS listener of the load balancer as certificate.listener.',
  },
  'certificate-no-room': {
    severity: 'warning',
    title: 'The load balancer has as many certificates as AWS allows by default',
    why: 'Unless the quota was raised, AWS refuses one more, after it was issued.',
    mend: 'Remove one that nobody needs, or have the quota raised: Certificates per Application Load Balancer.',
  },
  'listener-certificate-ends': {
    severity: 'warning',
    title: 'A certificate of the listener ends within 30 days',
    why: 'ACM begins to renew its own 60 days before their end, so one that is this close could not be renewed; imported ones it never renews. Once it has ended, no client can connect.',
    mend: 'Put its validation records back, or import the next one; or add certificate to the specification.',
  },
  'listener-certificate-unknown': {
    severity: 'info',
    title: 'It is not known when the certificates of the listener end',
    why: 'Certificates of IAM are not looked at, and those of ACM only with the right to.',
    mend: 'Nothing; or give the policy that godwit plan --iam prints.',
  },
};
