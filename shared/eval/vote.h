// Majority vote (self-consistency, arXiv 2203.11171) over classes of equivalent answers.
#ifndef XR_EVAL_VOTE_H
#define XR_EVAL_VOTE_H

#include <stdbool.h>

// Whether two answers, by their places in the list, say the same.
typedef bool XrSameAnswerFn(void *context, int first, int second);

typedef struct XrVote {
    int winner; // the earliest answer of the winning class, -1: nobody voted
    int votes;  // of the winning class
    int voters, classes;
    bool tie; // other classes have as many votes
} XrVote;

// Lets the answers 0..count-1 vote, those for which may_vote is true. In order, each joins the
// first class whose earliest member says the same, or founds one. Most votes win; of several
// classes with as many, the one whose earliest member comes first.
XrVote xr_vote(const bool *may_vote, int count, XrSameAnswerFn *same, void *context);

#endif
