"""An Ingress controller: the hop before a Service, with Pods, a queue and a watch of its own.

Ingress objects say which Service a host and path lead to (:mod:`kpsim.ingress.routing`).  The controller's Pods share
the requests (:mod:`kpsim.ingress.requests`); each has a line of its own before its cores, then sends a request to the
Service's ClusterIP, where the rules in force on its node choose, or straight to a Pod of the list that it holds itself
(:mod:`kpsim.ingress.watch`).  That list lags behind the cluster by the watch, the controller's own pace and NGINX's
timer.  Both engines are here: arrays (:mod:`kpsim.ingress.batch`) and SimPy processes (:mod:`kpsim.ingress.process`).
Left out: TLS, connections kept alive, canaries, affinity by cookie, NGINX's reloads when Ingresses change, and the
client's way to the controller.  The room knows no proxy mode and no engine of packets.
"""
