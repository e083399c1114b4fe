/** Tags by which those who manage a resource mark it: what they change back, nobody else changes for long. */

const OWNERS: [RegExp, string][] = [
  [/^(elbv2\.k8s\.aws|ingress\.k8s\.aws|service\.k8s\.aws|gateway\.k8s\.aws)\//, 'the AWS Load Balancer Controller'],
  [/^kubernetes\.io\//, 'Kubernetes'],
  [/^aws:cloudformation:/, 'CloudFormation'],
  [/^aws:(ecs|codedeploy|elasticbeanstalk|servicecatalog):/, 'a service of AWS'],
  [/^elasticbeanstalk:/, 'Elastic Beanstalk'],
  [/terraform|opentofu/i, 'Terraform'],
  [/^pulumi/i, 'Pulumi'],
  [/^(managed[-_]?by|ManagedBy|provisioner)$/i, 'the tool that it names'],
];

/** `ingress.k8s.aws/stack=shop/web (the AWS Load Balancer Controller)`. */
export function ownersIn(tags: { Key?: string | undefined; Value?: string | undefined }[]): string[] {
  return tags.flatMap(({ Key = '', Value = '' }) => {
    const known = OWNERS.find(([pattern]) => pattern.test(Key) || byValue(pattern, Value));
    return known === undefined ? [] : [`${Key}=${Value} (${known[1]})`];
  });
}

/** `managed-by=terraform` says it in the value. */
const byValue = (pattern: RegExp, value: string): boolean => pattern.flags.includes('i') && pattern.test(value);
