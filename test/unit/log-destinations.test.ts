import t from 'tap';
import { leaksIn, noteDestination } from '../support/destinations.ts';

const OWN = ['{"listen":"127.7.0.1:4001"}'];
const line = (message: string, fields = '') =>
  `{"level":"info","name":"proxy-1","time":"2026-01-01T10:20:30Z"${fields},"msg":"${message}"}`;

t.test('the check that networks of the tests make of their logs finds what it is for', async (t) => {
  noteDestination('site.example', 43_210, 'carol');
  for (const told of [
    line('connected to site.example'),
    line('x', ',"host":"SITE.example"'),
    line('x', ',"port":43210'),
    line('x', ',"to":"127.0.0.1:4002"'),
    line('x', ',"to":"93.184.216.34"'),
    line('x', ',"to":"127.7.0.2:4001"'),
    line('x', ',"to":"[2001:db8::1]:80"'),
    line('login of carol'),
  ]) {
    t.same(leaksIn(`${line('fine')}\n${told}\n`, OWN), [told]);
  }
});

t.test('what a log may say is not taken for a destination', async (t) => {
  const fine = [
    'listening 127.0.0.1:5001, status http://127.0.0.1:5002',
    line('proxy is running', ',"socks":["127.0.0.1:5001"],"status":"http://127.0.0.1:5002"'),
    line('a link is up', ',"peer":"127.7.0.1:4001","packets":56789,"lossShare":0.25'),
    line('carolina', ',"identity":"43210abc"'),
  ];
  t.same(leaksIn(fine.join('\n'), OWN), []);
});
