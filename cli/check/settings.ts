/**
 * What a schema cannot see of a configuration: settings that do not fit together, and files that they name.
 * @module
 */
import type { DirectoryConfig } from '../../directory/config.ts';
import type { ProxyConfig } from '../../proxy/config.ts';
import { type Finding, ok } from './finding.ts';
import type { Subject } from './subject.ts';

/** Throws CONFIG, as the role would at its start. */
export async function checkSettings({ role, config, dir }: Subject): Promise<Finding[]> {
  switch (role) {
    case 'mixnode':
    case 'gateway': {
      const { advertisedAddresses } = await import('../../lib/node/advertise.ts');
      advertisedAddresses({ listen: [config.listen ?? []].flat(), advertise: config.advertise }, []);
      break;
    }
    case 'directory': {
      const { joinRules } = await import('../../directory/members/membership.ts');
      const { publicUrl } = await import('../../directory/network.ts');
      joinRules(config as unknown as DirectoryConfig);
      publicUrl(config as unknown as DirectoryConfig, 1);
      break;
    }
    case 'requester': {
      const { loadRules } = await import('../../network-requester/policy/policy-file.ts');
      if (config.exitPolicyFile !== undefined) loadRules(config.exitPolicyFile);
      break;
    }
    case 'proxy': {
      const { listenAddresses } = await import('../../proxy/index.ts');
      listenAddresses(config as unknown as ProxyConfig);
      break;
    }
  }
  return [ok('config', `the configuration of the ${role} in ${dir} is in order`)];
}
