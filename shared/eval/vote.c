#include "shared/eval/vote.h"

#include "shared/base/memory.h"

#include <stdlib.h>

XrVote xr_vote(const bool *may_vote, int count, XrSameAnswerFn *same, void *context) {
    XrVote vote = {.winner = -1};
    int *votes = xr_calloc((size_t)count, sizeof *votes); // under each class's earliest member
    for (int i = 0; i < count; i++) {
        if (!may_vote[i]) continue;
        int class = 0;
        while (class < i && !(votes[class] && same(context, class, i))) class ++;
        vote.classes += class == i;
        vote.voters++;
        votes[class]++;
    }
    for (int i = 0; i < count; i++) {
        if (votes[i] > vote.votes) {
            vote.votes = votes[i];
            vote.winner = i;
            vote.tie = false;
        } else if (vote.votes && votes[i] == vote.votes) {
            vote.tie = true;
        }
    }
    free(votes);
    return vote;
}
