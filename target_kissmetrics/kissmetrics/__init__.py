"""A client of Kissmetrics' tracking API that knows nothing of Singer.

calls      Record, Set, Alias: what Kissmetrics can be told
limits     what it keeps and what it does not
wire       a call -> a request (here the API key enters, and lives nowhere else)
transport  one attempt of one request -> an outcome
retry      what to do after an outcome: pure policy
pacing     when a request may start
delivery   many calls, retried, over kept connections: a thread for each
loop_delivery
           the same from one thread, over a transport that makes many attempts at once (`curl_transport`)
"""
