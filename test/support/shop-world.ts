/** The shop as blue and green behind a load balancer, over a database of its own, with a folder for what it leaves. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { ensurePrometheus } from '../../lab/components.js';
import { createShopDatabase, fillShop, SHOP, SMALL_SIZE } from '../../lab/shop/create.js';
import { TrafficWorld, type TrafficWorldOptions } from '../../lab/traffic-world.js';
import { newAccount, startAws } from './aws.js';
import { startPair, type ServerPair } from './postgres.js';
import { say } from './progress.js';

export interface ShopWorldOptions {
  edge: NonNullable<TrafficWorldOptions['edge']>;
  /** By a Prometheus of its own. @default false */
  scraped?: boolean;
}

export class ShopWorld {
  private constructor(
    readonly pair: ServerPair,
    readonly folder: string,
    readonly traffic: TrafficWorld,
  ) {}

  static async start({ edge, scraped = false }: ShopWorldOptions): Promise<ShopWorld> {
    const pair = await startPair();
    await createShopDatabase(pair.source);
    await fillShop(pair.source, SMALL_SIZE);
    const folder = await mkdtemp(join(tmpdir(), 'godwit-traffic-'));
    // Moto answers when this does.
    await (await startAws()).stop();
    const traffic = await TrafficWorld.start({
      folder,
      moto: inject('motoUrl'),
      account: newAccount(),
      database: pair.source.url(SHOP.database),
      prometheus: scraped ? await ensurePrometheus({ onProgress: say }) : null,
      edge,
      names: { refreshEveryMs: 500 },
    });
    return new ShopWorld(pair, folder, traffic);
  }

  async stop(): Promise<void> {
    await this.traffic.stop();
    await this.pair.destroy();
    await rm(this.folder, { recursive: true, force: true });
  }
}
