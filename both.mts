import { SessionSim } from './test/support/session-sim.ts';
import { clientEnd, hostOf, server } from './test/support/sim-apps.ts';
const MB=1e6;
for (const downlink of ['steady','burst'] as const) {
 for (const [D,U] of [[0,2],[30,2]] as const) {
  let sim:any; const {accept,ends}=server(()=>sim.events);
  sim=new SessionSim({seed:3,downlink,accept}); let seed=0;
  const open=(plan:any)=>{seed+=10; const p={...plan,seed}; const e=clientEnd(sim.events,p,0); e.stream=sim.proxy.open({kind:'tcp',host:hostOf(p),port:443},e,sim.nowMs); e.pump(); return e;};
  let packets=0, used=0; let surb=0, sims=0;
  sim.run(2000);
  sim.onUplink=(pt:Uint8Array)=>{packets++;};
  const d= D? open({up:0,down:D*MB}):undefined; const u=open({up:U*MB,down:0});
  const c0=sim.proxy.surbStats(); const p0=sim.proxy.stats();
  const ms=sim.until(()=>ends.get(u.sendSeed)?.fin===true,400_000);
  const c1=sim.proxy.surbStats(); const p1=sim.proxy.stats();
  console.log(downlink,D?'both':'up',`up ${(U*MB/ms).toFixed(1)} down ${d?(d.received/ms).toFixed(1):'-'} packets/s ${(1000*packets/ms).toFixed(1)} surbs/s ${(1000*(c1.created-c0.created)/ms).toFixed(1)} sent/s ${(1000*(p1.bytesSent-p0.bytesSent)/ms).toFixed(0)} lost ${p1.packetsLost-p0.packetsLost} spurious ${p1.packetsLostSpuriously-p0.packetsLostSpuriously}`);
 }
}
