// Package page is what a browser shows of a running daemon: the fleet by means
// over time, clients, the migration with its gates, sources of time, keys and
// certificates; and it does an operator's steps, each after a confirmation.
//
// Everything shown comes from control.Sources, the same reports that the API
// sends: nothing is computed a second time. Pages are HTML made here, plots are
// SVG made here; the one script fetches the page again and exchanges what has
// changed. Nothing comes from elsewhere, and the content security policy lets
// nothing else run: no inline script, no inline style.
//
// Who asks is judged before, by package remote. Steps need the role write, a
// form that was made for who sends it, and the browser's word that it is sent
// from here; they are written into the history with who did it.
//
// What costs a pass over all clients is kept for some seconds, so that however
// many look, the inventory is read now and then.
package page
